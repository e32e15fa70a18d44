"""/changes: the audit log."""

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from arkwright.control.routes.call import LIMIT, Call, Limit
from arkwright.control.session import Page, page
from arkwright.store import changes
from arkwright.store.changes import ChangeRow


@get("/changes")
async def list_changes(
    call: Call,
    subject: Annotated[str | None, QueryParameter(description="Such as `organization acme`.")] = None,
    after: Annotated[int, QueryParameter(ge=0)] = 0,
    limit: Limit = LIMIT,
) -> Page[ChangeRow]:
    """Who changed what, from what, to what; oldest first."""
    async with call.reading() as connection:
        return page(await changes.page(connection, subject=subject, after=after, limit=limit + 1), limit)


ROUTES = [list_changes]

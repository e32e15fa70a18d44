"""/changes: the audit log."""

from datetime import datetime
from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from arkwright.control import changes
from arkwright.control.routes.call import LIMIT, Call, Limit
from arkwright.control.session import Page, page
from arkwright.store import changes as store
from arkwright.store.changes import ChangeRow

Text = Annotated[str | None, QueryParameter(max_length=500)]
Moment = Annotated[datetime | None, QueryParameter(description="Such as 2026-11-23T00:00:00Z.")]


@get("/changes")
async def list_changes(
    call: Call,
    subject: Annotated[str | None, QueryParameter(description="Such as `organization acme`.")] = None,
    after: Annotated[int, QueryParameter(ge=0)] = 0,
    limit: Limit = LIMIT,
) -> Page[ChangeRow]:
    """Who changed what, from what, to what; oldest first."""
    async with call.reading() as connection:
        return page(await store.page(connection, subject=subject, after=after, limit=limit + 1), limit)


@get("/changes/search")
async def search_changes(
    call: Call,
    organization: Text = None,
    actor: Annotated[str | None, QueryParameter(description="Such as `person admin`.")] = None,
    action: Annotated[str | None, QueryParameter(description="Such as `key.update`.")] = None,
    subject: Annotated[str | None, QueryParameter(description="Such as `organization acme`.")] = None,
    since: Moment = None,
    until: Moment = None,
    after: Annotated[int, QueryParameter(ge=0)] = 0,
    limit: Limit = LIMIT,
) -> Page[ChangeRow]:
    """The same, newest first, of whom and of what is asked for; the organization's is what was changed of it."""
    async with call.reading() as connection:
        sought = store.Sought(actor=actor, action=action, subject=subject, since=since, until=until, before=after)
        return await changes.search(connection, sought, organization, limit)


ROUTES = [list_changes, search_changes]

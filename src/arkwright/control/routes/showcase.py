"""/showcase: names may hold slashes, so the rest of the path is the name."""

from typing import Annotated

from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter

from arkwright.control import showcase
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.session import Page
from arkwright.control.showcase import ModelCard, ModelSheet
from arkwright.domain.catalog import ModelKind

Hours = Annotated[int, QueryParameter(description="How many hours back.", ge=1, le=showcase.HOURS_MAX)]
Found = Annotated[str, QueryParameter(description="What the name contains.", max_length=120)]


@get("/showcase")
async def list_cards(
    call: Call,
    name: Found = "",
    kind: FromQuery[ModelKind | None] = None,
    currency: FromQuery[str | None] = None,
    after: After = "",
    limit: Limit = LIMIT,
) -> Page[ModelCard]:
    """Models by name, with their prices and what was measured in the last hour and day."""
    async with call.reading() as connection:
        return await showcase.listing(connection, currency=currency, found=name, kind=kind, after=after, limit=limit)


@get("/showcase/{model:path}")
async def get_sheet(
    call: Call, model: FromPath[str], organization: FromQuery[str | None] = None, hours: Hours = 24
) -> ModelSheet:
    """One model, with its figures by hour, its price history, and the endpoints that lead to it."""
    async with call.reading() as connection:
        return await showcase.sheet(connection, model.removeprefix("/"), organization=organization, hours=hours)


ROUTES = [list_cards, get_sheet]

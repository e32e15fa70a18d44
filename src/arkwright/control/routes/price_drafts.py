"""/price-drafts: prices that are being prepared."""

from datetime import datetime

import msgspec
from litestar import Request, delete, get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, JSONBody

from arkwright.control import price_drafts
from arkwright.control.price_drafts import Activation, Checked, DraftSpec, DraftView, PriceDiff
from arkwright.control.routes.call import LIMIT, After, Call, Limit, text_of
from arkwright.control.session import Page


class When(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`at` left out: now."""

    at: datetime | None = None
    dry_run: bool = False


@get("/price-drafts")
async def list_drafts(
    call: Call,
    model: FromQuery[str | None] = None,
    activated: FromQuery[bool] = False,
    after: After = "",
    limit: Limit = LIMIT,
) -> Page[DraftView]:
    """Oldest first; `activated`: also those that have become a version."""
    async with call.reading() as connection:
        return await price_drafts.listing(connection, model, activated, after, limit)


@post("/price-drafts")
async def create_draft(call: Call, data: JSONBody[DraftSpec]) -> DraftView:
    """From a price or a ready-made book."""
    async with call.changing() as session:
        return await price_drafts.create(session, data)


@post("/price-drafts/file")
async def create_draft_from_file(
    call: Call, request: Request[object, object, State], model: FromQuery[str], currency: FromQuery[str] = ""
) -> DraftView:
    """The body is a file's text (`application/toml`) with a price of the model, or with one price."""
    text = await text_of(request)
    async with call.changing() as session:
        return await price_drafts.create_from_file(session, model, currency, text)


@post("/price-drafts/check", status_code=200)
async def check_file(call: Call, request: Request[object, object, State]) -> list[Checked]:
    """The body is a file's text. What is wrong with each price of it, by line; nothing is stored."""
    text = await text_of(request)
    async with call.reading() as connection:
        return await price_drafts.check_file(connection, text, call.platform.settings.currency)


@get("/price-drafts/{draft:str}")
async def get_draft(call: Call, draft: FromPath[str]) -> DraftView:
    async with call.reading() as connection:
        return await price_drafts.get(connection, draft)


@delete("/price-drafts/{draft:str}")
async def discard_draft(call: Call, draft: FromPath[str]) -> None:
    async with call.changing() as session:
        await price_drafts.discard(session, draft)


@get("/price-drafts/{draft:str}/diff")
async def diff_draft(call: Call, draft: FromPath[str]) -> PriceDiff:
    """Against the version in force."""
    async with call.reading() as connection:
        return await price_drafts.diff(connection, draft)


@post("/price-drafts/{draft:str}/activate", status_code=200)
async def activate_draft(call: Call, draft: FromPath[str], data: JSONBody[When]) -> Activation:
    """Now, or at a later moment; answers when the data plane knows of it."""
    return await price_drafts.activate(call.platform, call.actor, draft, data.at, dry_run=data.dry_run)


ROUTES = [
    list_drafts,
    create_draft,
    create_draft_from_file,
    check_file,
    get_draft,
    discard_draft,
    diff_draft,
    activate_draft,
]

"""/audit/key, /audit/roots and each organization's proof."""

from datetime import date
from typing import Annotated

from litestar import get, post
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream

from arkwright.control import exports, proofs
from arkwright.control.proofs import KeyView, RootView
from arkwright.control.routes.call import LIMIT, Call, Limit
from arkwright.control.routes.exports import LINES

AfterNumber = Annotated[int, QueryParameter(description="The number of the last root of the page before.", ge=0)]


@get("/audit/key", sync_to_thread=False)
def get_key(call: Call) -> KeyView:
    """The public half of the key that signs roots: give it to everybody, by another way than their exports."""
    return proofs.key(call.platform)


@get("/audit/roots")
async def list_roots(
    call: Call,
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
    after: AfterNumber = 0,
    limit: Limit = LIMIT,
) -> list[RootView]:
    """Signed roots of the days from `since` to before `until`, oldest first."""
    return await proofs.listing(call.platform, since, until, after, limit)


@post("/audit/roots", status_code=200)
async def seal(call: Call) -> list[RootView]:
    """Seal every day that is over and what today has so far; answers with the newest root. Twice changes nothing."""
    await proofs.seal_now(call.platform)
    return await proofs.newest(call.platform)


@get("/organizations/{organization:str}/proof", media_type=LINES)
async def export_proof(
    call: Call,
    organization: FromPath[str],
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
) -> Stream:
    """Its charges of whole UTC days with the signed roots and the way to them: a file for `arkwright audit verify`."""
    lines = await proofs.export(call.platform, organization, since, until)
    return Stream(exports.told(lines), media_type=LINES)


@get("/organizations/{organization:str}/proof/ledger")
async def get_posted(call: Call, organization: FromPath[str], first: AfterNumber, last: AfterNumber) -> dict[str, str]:
    """What the ledger earned by its model calls under the roots `first` to `last`, in pico: the sum of such a proof."""
    return await proofs.posted(call.platform, organization, first, last)


ROUTES = [get_key, list_roots, seal, export_proof, get_posted]

"""/organizations/{organization}/ledger, and the operations on it"""

from datetime import datetime
from typing import Annotated

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from arkwright.basics.errors import NotFound
from arkwright.control import dunning, ledger, organizations, services, statements
from arkwright.control.ledger import LedgerAccount, LedgerTransaction, MoneySpec, Moved
from arkwright.control.routes.call import LIMIT, After, Call, Limit
from arkwright.control.services import ServiceSpec
from arkwright.control.session import Page
from arkwright.control.statements import Statement

Before = Annotated[int | None, QueryParameter(description="`last_id` of the page before.")]


@get("/organizations/{organization:str}/ledger")
async def list_ledger(
    call: Call, organization: FromPath[str], after: Before = None, limit: Limit = LIMIT
) -> Page[LedgerTransaction]:
    """Every transaction, newest first; `after`: older than this one."""
    return await ledger.listing(call.platform, organization, after, limit)


@get("/organizations/{organization:str}/ledger/statement")
async def get_statement(
    call: Call,
    organization: FromPath[str],
    kind: FromQuery[str] = "",
    since: FromQuery[datetime | None] = None,
    until: FromQuery[datetime | None] = None,
    after: After = "",
    limit: Limit = LIMIT,
) -> Statement:
    """What moved on the payer's account, newest first, with the balance after each; opening and closing add up."""
    return await statements.read(
        call.platform, organization, kind=kind, since=since, until=until, after=after, limit=limit
    )


@get("/organizations/{organization:str}/ledger/accounts")
async def list_accounts(call: Call, organization: FromPath[str]) -> list[LedgerAccount]:
    """The balance of each account: the sum of its entries."""
    return await ledger.accounts(call.platform, organization)


@post("/organizations/{organization:str}/ledger/{operation:str}", status_code=200)
async def move_money(
    call: Call, organization: FromPath[str], operation: FromPath[str], data: JSONBody[MoneySpec]
) -> Moved:
    """`payment`, `refund`, `refund_paid` or `write_off`: posted once for each reference."""
    if operation not in ledger.OPERATIONS:
        raise NotFound(f"there is no operation {operation[:50]!r}: there are {', '.join(ledger.OPERATIONS)}")
    async with call.platform.withdrawing(call.actor) as (session, withdrawal):
        owner = await organizations.get(session.connection, organization)
        moved: Moved = await ledger.OPERATIONS[operation](session, withdrawal, owner, data)
        await dunning.review(session, owner)
    await call.platform.tell([owner.id])
    return moved


@post("/organizations/{organization:str}/services", status_code=200)
async def charge_service(call: Call, organization: FromPath[str], data: JSONBody[ServiceSpec]) -> Moved:
    """Charge machine hours, training, storage: once for each reference."""
    async with call.platform.withdrawing(call.actor) as (session, withdrawal):
        owner = await organizations.get(session.connection, organization)
        moved = await services.charge(session, withdrawal, owner, data)
    await call.platform.tell([owner.id])
    return moved


ROUTES = [list_ledger, get_statement, list_accounts, move_money, charge_service]

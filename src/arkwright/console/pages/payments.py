"""Money moved by hand: typed, looked at with all that will be posted, and only then posted.

Law: nothing is posted by the first form. The second one carries a reference, and the same reference posts once, however
often the button is pressed.
"""

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency

from arkwright.basics.errors import ArkwrightError, InvalidInput
from arkwright.basics.ids import new_id
from arkwright.console import rendering
from arkwright.console.look import Look
from arkwright.console.pages.billing import LOT_KINDS
from arkwright.console.pages.ledger import ACCOUNTS
from arkwright.console.screen import Screen
from arkwright.console.words import _
from arkwright.control import money_moves
from arkwright.control.money_moves import WHATS, What
from arkwright.store.tenancy import Organization

SCREEN = Screen(
    name="payments", path="/payments", title=_("Payments and grants"), group="money", right="change_billing"
)
TITLES: dict[What, str] = {
    "top_up": _("Top up the balance"),
    "payment": _("Record a payment"),
    "refund": _("Promise a refund"),
    "refund_paid": _("Record a refund that was paid out"),
    "write_off": _("Write off what is owed"),
    "credit_note": _("Write a credit note"),
    "lot": _("Grant tokens or credit"),
}


@get("/payments")
async def chosen(look: NamedDependency[Look]) -> Response[Any]:
    """`?organization=` and `?what=`; fields may come filled from a link."""
    owner = (await look.scope("change_billing")).organization
    if owner is None:
        return look.page("payments_choose.html")
    return _form(look, owner, dict(look.query), "")


@post("/payments/preview", status_code=200)
async def preview(look: NamedDependency[Look]) -> Response[Any]:
    """What would be posted, and a button that posts it."""
    owner = await _owner(look)
    fields = dict(await look.form())
    fields["reference"] = fields.get("reference", "").strip() or new_id("console")
    try:
        move = money_moves.read(fields)
        found = await money_moves.preview(look.platform, owner, move)
    except ArkwrightError as error:
        return _form(look, owner, fields, error.message)
    return look.page(
        "payment_preview.html",
        owner=owner,
        move=move,
        preview=found,
        title=TITLES[move.what],
        accounts=ACCOUNTS,
        lot_kinds=LOT_KINDS,
    )


@post("/payments", status_code=200)
async def carry_out(look: NamedDependency[Look]) -> Response[Any]:
    owner = await _owner(look)
    fields = dict(await look.form())
    try:
        move = money_moves.read(fields)
        if not move.reference:
            raise InvalidInput("a reference is needed: it keeps the same payment from being posted twice")
        created = await money_moves.carry_out(look.platform, look.actor, owner, move)
    except ArkwrightError as error:
        return _form(look, owner, fields, error.message)
    said = _("Posted.") if created else _("This reference was posted before: nothing was changed.")
    path = "/billing" if move.what == "lot" else "/ledger"
    return look.redirect(look.url(path, organization=owner.name).removeprefix(rendering.PATH), look.say(said))


async def _owner(look: Look) -> Organization:
    owner = (await look.scope("change_billing")).organization
    if owner is None:
        raise InvalidInput("choose an organization first", param="organization")
    return owner


def _form(look: Look, owner: Organization, given: dict[str, str], complaint: str) -> Response[Any]:
    what = next((each for each in WHATS if each == given.get("what", "")), None)
    return look.page(
        "payments.html",
        status=400 if complaint else 200,
        owner=owner,
        what=what,
        given=given,
        complaint=complaint,
        titles=[(each, look.say(TITLES[each])) for each in WHATS if _offered(owner, each)],
        kinds=[(kind, look.say(title)) for kind, title in LOT_KINDS.items()],
    )


def _offered(owner: Organization, what: What) -> bool:
    """A balance is topped up; who pays afterwards pays, and may owe too much."""
    prepaid = {"top_up"} if owner.billing == "prepaid" else {"payment", "write_off"}
    return what in {"refund", "refund_paid", "credit_note", "lot", *prepaid}


ROUTES = [chosen, preview, carry_out]

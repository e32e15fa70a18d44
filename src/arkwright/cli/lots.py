"""`arkwright lots`: free grants, resource packs and promotional credit."""

import re
from typing import Annotated, Any
from uuid import uuid4

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, moment, segment
from arkwright.cli.options import JsonOption, OrganizationOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="lots", help="What organizations may use without paying: grants, packs, credit.")
_COLUMNS = (
    "id",
    "organization",
    "kind",
    "reference",
    "models",
    "covers",
    "left",
    "held",
    "size",
    "expires_at",
    "state",
)
_CHANGE = ("name", "action", "id")

Models = Annotated[
    list[str] | None, Parameter(name=["--model", "--models"], negative="", help="Only these models; repeat it.")
]
Covers = Annotated[
    list[str] | None,
    Parameter(negative="", help="tokens (the default), input_tokens, output_tokens, image …; repeat it."),
]
Modes = Annotated[
    list[str] | None, Parameter(name="--mode", negative="", help="online or batch; repeat it. A grant: online.")
]
Expires = Annotated[
    str | None, Parameter(name=["--expires", "--expires-at"], help="Such as 2027-01-31, or 2027-01-31T00:00:00Z.")
]
From = Annotated[str | None, Parameter(name=["--from", "--valid-from"], help="When it begins; default: now.")]
Priority = Annotated[int | None, Parameter(help="The smaller is drawn on first; default: 100.")]
Reference = Annotated[str | None, Parameter(help="Yours, such as an order's number: the same one gives only once.")]


@app.command(name="list")
def list_(
    *,
    organization: Annotated[
        str | None, Parameter(name=["--organization", "-o"], help="Name or id; default: all.")
    ] = None,
    ended: Annotated[bool, Parameter(negative="", help="Also what expired, was revoked or is used up.")] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """List lots: what is left of each, what open requests hold of it, and when it expires."""
    path = "/lots" if organization is None else f"/organizations/{segment(organization)}/lots"
    with at.client() as client:
        rows = list(client.every(path, ended=str(ended).lower()))
    tables.show(rows, json_output=json_output, columns=_COLUMNS)


@app.command
def grant(
    organization: OrganizationOption = "default",
    *,
    units: Annotated[int, Parameter(help="How many tokens (or units of what --covers names).")],
    models: Models = None,
    covers: Covers = None,
    mode: Modes = None,
    expires: Expires = None,
    from_: From = None,
    priority: Priority = None,
    reference: Reference = None,
    memo: str | None = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Give units for free, such as `lots grant -o acme --units 500000 --model some-model`."""
    terms = {"kind": "grant", "units": units, "models": models, "covers": covers, "modes": mode, "memo": memo}
    _give(organization, terms, expires, from_, priority, reference, json_output, at)


@app.command
def pack(
    organization: OrganizationOption = "default",
    *,
    units: Annotated[int, Parameter(help="How many tokens (or units of what --covers names).")],
    models: Models = None,
    covers: Covers = None,
    mode: Modes = None,
    expires: Expires = None,
    from_: From = None,
    priority: Priority = None,
    reference: Reference = None,
    memo: str | None = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Book a resource pack that the customer has bought: units that cost nothing more."""
    terms = {"kind": "pack", "units": units, "models": models, "covers": covers, "modes": mode, "memo": memo}
    _give(organization, terms, expires, from_, priority, reference, json_output, at)


@app.command
def credit(
    organization: OrganizationOption = "default",
    *,
    amount: Annotated[str, Parameter(help="In the organization's currency, such as 10.00.")],
    models: Models = None,
    mode: Modes = None,
    expires: Expires = None,
    from_: From = None,
    priority: Priority = None,
    reference: Reference = None,
    memo: str | None = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Give promotional credit: it pays what grants and packs do not cover, before the customer's own money does."""
    terms = {"kind": "credit", "amount": amount, "models": models, "modes": mode, "memo": memo}
    _give(organization, terms, expires, from_, priority, reference, json_output, at)


@app.command
def revoke(
    lot: str,
    organization: Annotated[
        str | None,
        Parameter(name=["--organization", "-o"], help="Name or id; needed only for a lot meant by its reference."),
    ] = None,
    *,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """End a lot, by its id or reference: what is unused is gone, what was used stays used."""
    if organization is None and re.fullmatch(r"lot_[0-9a-z]{26}", lot):
        path = f"/lots/{segment(lot)}/revoke"
    else:
        path = f"/organizations/{segment(organization or 'default')}/lots/{segment(lot)}/revoke"
    with at.client() as client:
        change = client.post(path, {})
    if json_output:
        tables.print_json(change)
    else:
        tables.show_deleted("lot", change["name"], json_output=False, done="revoked")


def _give(
    organization: str,
    terms: dict[str, Any],
    expires: str | None,
    from_: str | None,
    priority: int | None,
    reference: str | None,
    json_output: bool,
    at: TargetOptions,
) -> None:
    when = {"expires_at": moment(expires), "valid_from": moment(from_)}
    body = given({**terms, **when, "priority": priority, "reference": reference or f"cli:{uuid4()}"})
    with at.client() as client:
        change = client.post(f"/organizations/{segment(organization)}/lots", body)
    tables.show(change, json_output=json_output, columns=_CHANGE)

"""`arkwright reservations`: throughput that is paid for by time."""

from typing import Annotated
from uuid import uuid4

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, moment, segment
from arkwright.cli.options import JsonOption, OrganizationOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="reservations", help="Reserved throughput: tokens a minute of a model that are paid for by time.")
_COLUMNS = (
    "id", "reference", "model", "input_tokens_per_minute", "output_tokens_per_minute", "overflow", "amount",
    "valid_from", "valid_until", "state",
)  # fmt: skip


@app.command(name="list")
def list_(
    organization: OrganizationOption = "default",
    *,
    ended: Annotated[bool, Parameter(negative="", help="Also those that have ended.")] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """List an organization's reservations."""
    with at.client() as client:
        path = f"/organizations/{segment(organization)}/reservations"
        tables.show(list(client.every(path, ended=str(ended).lower())), json_output=json_output, columns=_COLUMNS)


@app.command
def add(
    organization: OrganizationOption = "default",
    *,
    model: str,
    input_tpm: Annotated[int, Parameter(help="Input tokens a minute.")],
    output_tpm: Annotated[int, Parameter(help="Output tokens a minute.")],
    until: Annotated[str, Parameter(help="Such as 2027-01-31, or 2027-01-31T00:00:00Z; not included.")],
    from_: Annotated[str | None, Parameter(name="--from", help="When it begins; default: now.")] = None,
    overflow: Annotated[
        str | None, Parameter(help="What does not fit: payg (charged by the book, the default) or reject (429).")
    ] = None,
    amount: Annotated[str | None, Parameter(help="Its own price, for the record.")] = None,
    reference: Annotated[
        str | None, Parameter(help="Yours, such as an order's number: the same one reserves only once.")
    ] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Reserve throughput of a model: what fits into it costs nothing more."""
    body = given(
        {
            "model": model,
            "input_tokens_per_minute": input_tpm,
            "output_tokens_per_minute": output_tpm,
            "valid_from": moment(from_),
            "valid_until": moment(until),
            "overflow": overflow,
            "amount": amount,
            "reference": reference or f"cli:{uuid4()}",
        }
    )
    with at.client() as client:
        change = client.post(f"/organizations/{segment(organization)}/reservations", body)
    tables.show(change, json_output=json_output, columns=("name", "action", "id"))


@app.command
def end(
    reservation: str, organization: OrganizationOption = "default", *, json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:  # fmt: skip
    """End a reservation now, by its id or reference."""
    with at.client() as client:
        path = f"/organizations/{segment(organization)}/reservations/{segment(reservation)}/end"
        change = client.post(path, {})
    if json_output:
        tables.print_json(change)
    else:
        tables.show_deleted("reservation", change["name"], json_output=False, done="ended")

"""`arkwright bill`: an organization's balance and charges."""

from typing import Annotated

from cyclopts import Parameter

from arkwright.cli import tables
from arkwright.cli.fields import moment, segment
from arkwright.cli.options import JsonOption, OrganizationOption
from arkwright.cli.target import HERE, TargetOptions

_FIELDS = (
    "organization", "billing", "currency", "balance", "held", "credited", "charged", "adjusted",
    "granted", "uncollected", "services", "charges",
    "input_tokens", "cached_input_tokens", "output_tokens",
)  # fmt: skip
_LINE = ("model", "charges", "input_tokens", "cached_input_tokens", "output_tokens", "charged", "adjusted")


def bill(
    organization: OrganizationOption = "default",
    *,
    since: Annotated[str | None, Parameter(help="Such as 2026-11-23, or 2026-11-23T00:00:00Z.")] = None,
    until: Annotated[str | None, Parameter(help="Such as 2026-12-01, or 2026-12-01T00:00:00Z; not included.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Show what an organization has, holds and was charged, to the last unit."""
    with at.client() as client:
        answer = client.get(f"/organizations/{segment(organization)}/bill", since=moment(since), until=moment(until))
    if json_output:
        tables.print_json(answer)
        return
    balance: str = answer["balance"]
    fields: tuple[str, ...] = _FIELDS
    if answer["billing"] == "postpaid" and (balance.startswith("-") or not balance.strip("0.")):
        answer["owed"] = balance.removeprefix("-")
        fields = tuple("owed" if field == "balance" else field for field in _FIELDS)
    tables.show_fields(answer, json_output=False, fields=fields)
    if answer["lines"]:
        print()
        tables.show(answer["lines"], json_output=False, columns=_LINE)

"""`arkwright rerate`: a period under another price."""

from typing import Annotated

from cyclopts import Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, moment, segment
from arkwright.cli.options import JsonOption, OrganizationOption
from arkwright.cli.steps import Steps
from arkwright.cli.target import HERE, TargetOptions

_LINE = ("model", "charges", "changed", "before", "after", "difference")


def rerate(
    organization: OrganizationOption,
    *,
    since: Annotated[str, Parameter(help="Such as 2026-11-01, or 2026-11-01T00:00:00Z.")],
    until: Annotated[str, Parameter(help="Such as 2026-12-01, or 2026-12-01T00:00:00Z; not included.")],
    price: Annotated[str | None, Parameter(help="Id of a price version; see `prices list --history`.")] = None,
    as_of: Annotated[str | None, Parameter(help="By the price book of this moment.")] = None,
    as_charged: Annotated[bool, Parameter(negative="", help="Back to what was charged at first.")] = False,
    model: Annotated[str | None, Parameter(help="Of one model; default: all, or the price's.")] = None,
    correction: Annotated[bool, Parameter(negative="", help="Closed months, too: onto the next invoice.")] = False,
    dry_run: Annotated[bool, Parameter(negative="", help="Show what would change, and change nothing.")] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Charge what was used in a period by another price: each difference is posted, nothing posted is changed."""
    body = given(
        {
            "since": moment(since),
            "until": moment(until),
            "price": price,
            "as_of": moment(as_of),
            "as_charged": as_charged,
            "model": model,
            "correction": correction,
            "dry_run": dry_run,
        }
    )
    with at.client() as client, Steps().step("Rating the period"):
        answer = client.post_long(f"/organizations/{segment(organization)}/reratings", body)
    if json_output:
        tables.print_json(answer)
        return
    tables.show(answer["lines"], json_output=False, columns=_LINE, empty="Nothing was charged in that period.")
    verb = "would change" if dry_run else "changed"
    print(
        f"{answer['changed']} of {answer['charges']} charges {verb}: {answer['before']} → {answer['after']}"
        f" {answer['currency']} ({answer['difference']}; {answer['uncollected']} of it uncollected)"
    )

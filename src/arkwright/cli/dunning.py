"""`arkwright dunning`: who pays afterwards and is late."""

from typing import Annotated

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import segment
from arkwright.cli.options import JsonOption, OrganizationOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="dunning", help="Who pays afterwards and is late: grace, then suspended.")


@app.command(name="list")
def list_(
    *,
    late: Annotated[bool, Parameter(negative="", help="Only those in grace or suspended.")] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """List the organizations that pay afterwards, with their standing."""
    with at.client() as client:
        rows = list(client.every("/dunning", late=late))
    columns = ("id", "organization", "state", "since", "reason", "suspend_at")
    tables.show(rows, json_output=json_output, columns=columns, empty="Nobody.")


@app.command
def show(organization: OrganizationOption, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Show one organization's open invoices."""
    with at.client() as client:
        answer = client.get(f"/organizations/{segment(organization)}/dunning")
    if json_output:
        tables.print_json(answer)
        return
    tables.show_fields(answer, json_output=False, fields=("organization", "currency", "state", "reason", "suspend_at"))
    print()
    tables.show(answer["open"], json_output=False, columns=("number", "due_at", "open"), empty="Nothing is open.")


@app.command
def review(*, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Look at everybody's open invoices now."""
    with at.client() as client:
        answer = client.post_long("/dunning/review")
    tables.show(answer, json_output=json_output, columns=("organizations", "changed"))

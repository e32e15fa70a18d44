"""`arkwright projects`: how an organization divides its keys and usage."""

from cyclopts import App

from arkwright.cli import tables
from arkwright.cli.fields import segment
from arkwright.cli.options import JsonOption, OrganizationOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="projects", help="Projects of an organization.")
_COLUMNS = ("id", "name", "created_at")


@app.command(name="list")
def list_(
    organization: OrganizationOption = "default", *, json_output: JsonOption = False, at: TargetOptions = HERE
) -> None:
    """List an organization's projects."""
    with at.client() as client:
        rows = list(client.every(f"/organizations/{segment(organization)}/projects"))
    tables.show(rows, json_output=json_output, columns=_COLUMNS)


@app.command
def create(
    name: str,
    organization: OrganizationOption = "default",
    *,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Create a project."""
    with at.client() as client:
        answer = client.post(f"/organizations/{segment(organization)}/projects", {"name": name})
    tables.show(answer, json_output=json_output, columns=_COLUMNS)

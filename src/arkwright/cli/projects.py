"""`arkwright projects`: how an organization divides its keys and usage."""

from typing import Annotated

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, segment
from arkwright.cli.options import JsonOption, OrganizationOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="projects", help="Projects of an organization.")
_COLUMNS = ("id", "name", "service_tiers", "created_at")


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


@app.command(name="set")
def set_(
    name: str,
    organization: OrganizationOption = "default",
    *,
    service_tier: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help="What its requests may name beside the default: priority, flex, batch; repeat it. `none`: what the "
            "price of their model names.",
        ),
    ] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Change what is given of a project."""
    tiers = None if service_tier is None else [tier for tier in service_tier if tier != "none"]
    with at.client() as client:
        path = f"/organizations/{segment(organization)}/projects/{segment(name)}"
        answer = client.patch(path, given({"service_tiers": tiers}))
    tables.show(answer, json_output=json_output, columns=_COLUMNS)

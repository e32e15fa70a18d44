"""`arkwright discounts`: what an account pays less than the book says."""

from typing import Annotated

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, moment
from arkwright.cli.options import JsonOption, OrganizationOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="discounts", help="Discounts of organizations, for every model or for one.")
_COLUMNS = ("organization", "model", "percent", "valid_from", "id")

Model = Annotated[str | None, Parameter(help="Default: every model without a discount of its own.")]
From = Annotated[str | None, Parameter(help="Such as 2027-01-31T00:00:00Z; default: now.")]


@app.command(name="list")
def list_(
    *,
    organization: Annotated[str | None, Parameter(name=["--organization", "-o"], help="Name or id.")] = None,
    history: Annotated[bool, Parameter(negative="", help="Every one there ever was.")] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """List the discounts in force and those to come."""
    with at.client() as client:
        if history:
            rows = list(client.every("/discounts", organization=organization))
        else:
            rows = client.get("/discounts/in-force", organization=organization)
    if not json_output:
        rows = [{**row, "model": row.get("model", "every model")} for row in rows]
    tables.show(rows, json_output=json_output, columns=_COLUMNS)


@app.command(name="set")
def set_(
    organization: OrganizationOption,
    percent: str,
    *,
    model: Model = None,
    valid_from: From = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Take a percentage off, such as `discounts set acme 12.5`; requests that are admitted from then on have it."""
    body = given({"organization": organization, "percent": percent, "model": model, "valid_from": moment(valid_from)})
    with at.client() as client:
        tables.show(client.post("/discounts", body), json_output=json_output, columns=("name", "action", "id"))


@app.command
def end(
    organization: OrganizationOption,
    *,
    model: Model = None,
    valid_from: From = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """End a discount; a model whose own ends has the one for every model again."""
    set_(organization, "none", model=model, valid_from=valid_from, json_output=json_output, at=at)

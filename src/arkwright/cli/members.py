"""`arkwright members`: people in an organization."""

from typing import Annotated

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import segment
from arkwright.cli.options import JsonOption, OrganizationOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="members", help="People in an organization, with their roles.")
_COLUMNS = ("login", "role", "disabled", "created_at")
Role = Annotated[str, Parameter(help="admin, member, billing or auditor.")]


@app.command(name="list")
def list_(
    organization: OrganizationOption = "default", *, json_output: JsonOption = False, at: TargetOptions = HERE
) -> None:
    """List an organization's members."""
    with at.client() as client:
        rows = list(client.every(f"/organizations/{segment(organization)}/members"))
    tables.show(rows, json_output=json_output, columns=_COLUMNS)


@app.command
def add(
    login: str,
    organization: OrganizationOption = "default",
    *,
    role: Role = "member",
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Add a person; someone new gets a password, printed this once."""
    with at.client() as client:
        answer = client.post(f"/organizations/{segment(organization)}/members", {"login": login, "role": role})
    if json_output:
        tables.print_json({**answer["member"], "password": answer["password"]})
        return
    tables.show(answer["member"], json_output=False, columns=_COLUMNS)
    if answer["password"]:
        tables.note("\nThe password, shown this once:")
        print(answer["password"])


@app.command
def update(
    login: str,
    role: Role,
    organization: OrganizationOption = "default",
    *,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Give a member another role."""
    with at.client() as client:
        answer = client.patch(f"/organizations/{segment(organization)}/members/{segment(login)}", {"role": role})
    tables.show(answer, json_output=json_output, columns=_COLUMNS)


@app.command
def remove(
    login: str,
    organization: OrganizationOption = "default",
    *,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """End a membership; the person stays known."""
    with at.client() as client:
        client.delete(f"/organizations/{segment(organization)}/members/{segment(login)}")
    tables.show_deleted("member", login, json_output=json_output, done="removed")


@app.command(name="reset-password")
def reset_password(login: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Give a person (the operator `admin`, too) a new password, printed this once; ends their sessions."""
    with at.client() as client:
        answer = client.post(f"/people/{segment(login)}/password")
    if json_output:
        tables.print_json(answer)
    else:
        tables.note("The password, shown this once:")
        print(answer["password"])

"""`arkwright invitations`: links that let one person in to the console, once."""

from typing import Annotated

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import segment
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="invitations", help="Links that let one person in to the console, once.")
_COLUMNS = ("id", "organization", "role", "platform_role", "note", "expires_at", "used_by", "revoked_at")


@app.command(name="list")
def list_(
    *,
    organization: Annotated[str | None, Parameter(help="Those that let into this one.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """List invitations, the newest first."""
    with at.client() as client:
        rows = list(client.every("/invitations", organization=organization))
    tables.show(rows, json_output=json_output, columns=_COLUMNS)


@app.command
def create(
    organization: Annotated[str, Parameter(help="Where the person becomes a member.")] = "",
    *,
    role: Annotated[str, Parameter(help="There: admin, member, billing or auditor.")] = "member",
    platform_role: Annotated[
        str, Parameter(help="In place of an organization: operator, billing or auditor of the platform.")
    ] = "",
    note: Annotated[str, Parameter(help="Whom it is for.")] = "",
    days: int = 7,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Make a link; it is printed this once."""
    body = {"organization": organization, "role": role, "platform_role": platform_role, "note": note, "days": days}
    with at.client() as client:
        answer = client.post("/invitations", body)
    link = at.url.rstrip("/").removesuffix("/v1") + answer["path"] if at.url else answer["link"]
    if json_output:
        tables.print_json({**answer["invitation"], "link": link})
        return
    tables.note("The link, shown this once:")
    print(link)


@app.command
def revoke(invitation: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Let nobody in by an invitation any more, by its id."""
    with at.client() as client:
        client.delete(f"/invitations/{segment(invitation)}")
    tables.show_deleted("invitation", invitation, json_output=json_output, done="revoked")

"""`arkwright keys`: API keys of an organization."""

import re
from typing import Annotated, Any

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, segment
from arkwright.cli.options import JsonOption, OrganizationOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="keys", help="API keys: made, narrowed, disabled. A secret is shown once.")
_COLUMNS = ("id", "project", "name", "hint", "models", "scopes", "expires_at", "disabled")
_LINES = ("id", "project", "name", "hint", "state", "last_used_at", "last_model", "spent", "budget", "former_until")

Owner = Annotated[
    str | None,
    Parameter(name=["--organization", "-o"], help="Name or id; needed only for a key that is meant by its name."),
]
Models = Annotated[list[str] | None, Parameter(name="--model", negative="", help="Only these models; repeat it.")]
Scopes = Annotated[
    list[str] | None,
    Parameter(name="--scope", negative="", help="Only this API: chat, completions, embeddings or models; repeat it."),
]
Expires = Annotated[str | None, Parameter(help="When it stops working, such as 2027-01-31T00:00:00Z.")]


@app.command(name="list")
def list_(
    organization: OrganizationOption = "default",
    *,
    search: Annotated[
        str | None, Parameter(help="How a name begins, or a secret ends; the first 200 are shown.")
    ] = None,
    use: Annotated[bool, Parameter(negative="", help="With each one's use; the newest 200.")] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """List an organization's keys."""
    if search is not None or use:
        with at.client() as client:
            found = client.get(f"/organizations/{segment(organization)}/key-lines", search=search or "", limit=200)
        tables.show(found["data"], json_output=json_output, columns=_LINES)
        return
    with at.client() as client:
        rows = list(client.every(f"/organizations/{segment(organization)}/keys"))
    tables.show(rows, json_output=json_output, columns=_COLUMNS)


@app.command
def create(
    organization: OrganizationOption = "default",
    *,
    project: str = "default",
    name: str = "",
    model: Models = None,
    scope: Scopes = None,
    expires_at: Expires = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Make a key; its secret is printed this once."""
    body = given({"project": project, "name": name, "models": model, "scopes": scope, "expires_at": expires_at})
    with at.client() as client:
        answer = client.post(f"/organizations/{segment(organization)}/keys", body)
    _show_secret(answer, json_output)


@app.command
def update(
    key: str,
    organization: Owner = None,
    *,
    name: str | None = None,
    model: Models = None,
    every_model: Annotated[bool, Parameter(negative="", help="Take away the restriction to models.")] = False,
    scope: Scopes = None,
    every_scope: Annotated[bool, Parameter(negative="", help="Take away the restriction to APIs.")] = False,
    expires_at: Expires = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Change what is given of a key, by its id or name; the rest stays."""
    models = [] if every_model else model
    scopes = [] if every_scope else scope
    body = given({"name": name, "models": models, "scopes": scopes, "expires_at": expires_at})
    with at.client() as client:
        answer = client.patch(_path(key, organization), body)
    tables.show(answer, json_output=json_output, columns=_COLUMNS)


@app.command
def disable(key: str, organization: Owner = None, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Refuse a key, by its id or name. It can be enabled again; keys are never deleted, since charges name them."""
    _set_disabled(key, organization, True, json_output, at)


@app.command
def enable(key: str, organization: Owner = None, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Serve a disabled key again."""
    _set_disabled(key, organization, False, json_output, at)


@app.command
def rotate(
    key: str,
    organization: OrganizationOption = "default",
    *,
    overlap_hours: Annotated[int, Parameter(help="How long the secret of now works on; 0 ends it at once.")] = 24,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Give a key another secret, printed this once; the one before works for the overlap."""
    with at.client() as client:
        answer = client.post(
            f"/organizations/{segment(organization)}/keys/{segment(key)}/rotate", {"overlap_s": overlap_hours * 3600}
        )
    _show_secret(answer, json_output)


@app.command
def end_overlap(
    key: str,
    organization: OrganizationOption = "default",
    *,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Let the secret from before a rotation work no more."""
    with at.client() as client:
        answer = client.post(f"/organizations/{segment(organization)}/keys/{segment(key)}/end-overlap", {})
    tables.show(answer, json_output=json_output, columns=_COLUMNS)


def _show_secret(answer: dict[str, Any], json_output: bool) -> None:
    if json_output:
        tables.print_json({**answer["key"], "secret": answer["secret"]})
        return
    tables.show(answer["key"], json_output=False, columns=_COLUMNS)
    tables.note("\nThe secret, shown this once:")
    print(answer["secret"])


def _set_disabled(key: str, organization: str | None, disabled: bool, json_output: bool, at: TargetOptions) -> None:
    with at.client() as client:
        answer = client.patch(_path(key, organization), {"disabled": disabled})
    tables.show(answer, json_output=json_output, columns=_COLUMNS)


def _path(key: str, organization: str | None) -> str:
    """An id says which key, in whichever organization; a name means one only within an organization."""
    if organization is None and re.fullmatch(r"key_[0-9a-z]{26}", key):
        return f"/keys/{segment(key)}"
    return f"/organizations/{segment(organization or 'default')}/keys/{segment(key)}"

"""`arkwright people`: who may come to the console, and what they hold."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import segment
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="people", help="People of the console: their roles on the platform, sessions and tokens.")
_COLUMNS = ("login", "platform_role", "disabled", "password", "created_at")
_SESSIONS = ("id", "device", "means", "created_at", "seen_at", "expires_at")
_TOKENS = ("id", "name", "hint", "created_at", "expires_at", "used_at")
Role = Annotated[str, Parameter(help="operator, billing, auditor, or none.")]


@app.command(name="list")
def list_(
    *,
    search: Annotated[str, Parameter(help="What the login begins with.")] = "",
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """List everybody."""
    with at.client() as client:
        tables.show(list(client.every("/people", search=search)), json_output=json_output, columns=_COLUMNS)


@app.command
def show(login: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Show a person and where they are a member."""
    with at.client() as client:
        answer = client.get(f"/people/{segment(login)}")
    if json_output:
        tables.print_json(answer)
        return
    tables.show(answer["person"], json_output=False, columns=_COLUMNS)
    tables.show(answer["memberships"], json_output=False, columns=("name", "role"), empty="A member of nothing.")


@app.command
def create(login: str, *, role: Role = "none", json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Make a person known; the password is printed this once."""
    with at.client() as client:
        answer = client.post("/people", {"login": login, "platform_role": _role(role)})
    if json_output:
        tables.print_json({**answer["person"], "secret": answer["password"]})
        return
    tables.show(answer["person"], json_output=False, columns=_COLUMNS)
    tables.note("\nThe password, shown this once:")
    print(answer["password"])


@app.command(name="set-role")
def set_role(login: str, role: Role, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Give a person another role on the platform, or none; the last operator stays."""
    _update(login, {"platform_role": _role(role)}, json_output, at)


@app.command
def disable(login: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Let a person in no more; ends their sessions and tokens."""
    _update(login, {"disabled": True}, json_output, at)


@app.command
def enable(login: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Let a disabled person in again."""
    _update(login, {"disabled": False}, json_output, at)


@app.command
def sessions(login: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """List where a person is signed in to the console."""
    with at.client() as client:
        rows = client.get(f"/people/{segment(login)}/sessions")["data"]
    tables.show(rows, json_output=json_output, columns=_SESSIONS, empty="Signed in nowhere.")


@app.command(name="sign-out")
def sign_out(
    login: str,
    session: Annotated[str, Parameter(help="One session's id; without it all of them end.")] = "",
    *,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """End a person's sessions, or one of them."""
    with at.client() as client:
        client.delete(f"/people/{segment(login)}/sessions" + (f"/{segment(session)}" if session else ""))
    tables.show_deleted("session", session or f"every one of {login}", json_output=json_output, done="ended")


@app.command
def tokens(login: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """List a person's tokens, which read the console from a shell."""
    with at.client() as client:
        rows = list(client.every(f"/people/{segment(login)}/tokens"))
    tables.show(rows, json_output=json_output, columns=_TOKENS)


@app.command(name="create-token")
def create_token(
    login: str, name: str, *, days: int = 90, json_output: JsonOption = False, at: TargetOptions = HERE
) -> None:
    """Make a token for a person; its secret is printed this once."""
    with at.client() as client:
        answer = client.post(f"/people/{segment(login)}/tokens", {"name": name, "days": days})
    if json_output:
        tables.print_json({**answer["token"], "secret": answer["secret"]})
        return
    tables.note("The token, shown this once:")
    print(answer["secret"])


@app.command(name="revoke-token")
def revoke_token(login: str, token: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Refuse a token from now on, by its id."""
    with at.client() as client:
        client.delete(f"/people/{segment(login)}/tokens/{segment(token)}")
    tables.show_deleted("token", token, json_output=json_output, done="revoked")


def _update(login: str, fields: dict[str, Any], json_output: bool, at: TargetOptions) -> None:
    with at.client() as client:
        answer = client.patch(f"/people/{segment(login)}", fields)
    tables.show(answer, json_output=json_output, columns=_COLUMNS)


def _role(written: str) -> str:
    return "" if written == "none" else written

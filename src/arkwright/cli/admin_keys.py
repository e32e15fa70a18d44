"""`arkwright admin-keys`: who may administer the platform from elsewhere (`--url`)."""

from cyclopts import App

from arkwright.cli import tables
from arkwright.cli.fields import segment
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="admin-keys", help="Keys of the admin API. A secret is shown once.")
_COLUMNS = ("id", "name", "disabled")


@app.command(name="list")
def list_(*, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """List all admin keys."""
    with at.client() as client:
        tables.show(list(client.every("/admin-keys")), json_output=json_output, columns=_COLUMNS)


@app.command
def create(name: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Make an admin key; its secret is printed this once."""
    with at.client() as client:
        answer = client.post("/admin-keys", {"name": name})
    if json_output:
        tables.print_json({**answer["key"], "secret": answer["secret"]})
        return
    tables.note("The secret, shown this once:")
    print(answer["secret"])


@app.command
def disable(key: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Refuse an admin key, by its id; the last one that works stays."""
    _set_disabled(key, True, json_output, at)


@app.command
def enable(key: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Take a disabled admin key again."""
    _set_disabled(key, False, json_output, at)


def _set_disabled(key: str, disabled: bool, json_output: bool, at: TargetOptions) -> None:
    with at.client() as client:
        answer = client.patch(f"/admin-keys/{segment(key)}", {"disabled": disabled})
    tables.show(answer, json_output=json_output, columns=_COLUMNS)

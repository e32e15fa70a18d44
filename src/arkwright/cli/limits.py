"""`arkwright limits`: how much of what may pass in a minute, at once, in a day and in a month."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from arkwright.basics.errors import InvalidInput
from arkwright.cli import tables
from arkwright.cli.fields import given, segment
from arkwright.cli.options import JsonOption, OrganizationOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="limits", help="Limits of an organization, or of a project, key, endpoint or model of it.")
_COLUMNS = (
    "id", "scope", "name", "requests_per_minute", "tokens_per_minute", "concurrent_requests", "budget_daily",
    "budget_monthly",
)  # fmt: skip
_STANDING = ("scope", "name", "cap_of", "cap", "used", "held", "left", "resets_at")
_NONE = "none"

Count = Annotated[str | None, Parameter(help="A whole number; `none` takes the cap away.")]
Budget = Annotated[str | None, Parameter(help="A decimal, in the organization's currency; `none` takes it away.")]


@app.command(name="list")
def list_(
    organization: OrganizationOption = "default", *, json_output: JsonOption = False, at: TargetOptions = HERE
) -> None:
    """List an organization's limits."""
    with at.client() as client:
        rows = list(client.every(_path(organization)))
    tables.show(rows, json_output=json_output, columns=_COLUMNS, empty="No limits.")


@app.command(name="set")
def set_(
    organization: OrganizationOption = "default",
    *,
    project: Annotated[str | None, Parameter(help="Of this project of the organization.")] = None,
    key: Annotated[str | None, Parameter(help="Of this key: its id, or its name.")] = None,
    endpoint: Annotated[str | None, Parameter(help="Of this endpoint, such as chat.completions.")] = None,
    model: Annotated[str | None, Parameter(help="Of this model.")] = None,
    requests_per_minute: Count = None,
    tokens_per_minute: Count = None,
    concurrent_requests: Count = None,
    budget_daily: Budget = None,
    budget_monthly: Budget = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Set the caps that are given; the others stay as they are. Without a subject: the organization as a whole."""
    subject = given({"project": project, "key": key, "endpoint": endpoint, "model": model})
    counts = {
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "concurrent_requests": concurrent_requests,
    }
    caps: dict[str, Any] = {name: _count(name, text) for name, text in given(counts).items()}
    budgets = given({"budget_daily": budget_daily, "budget_monthly": budget_monthly})
    caps |= {name: None if text == _NONE else text for name, text in budgets.items()}
    with at.client() as client:
        answer = client.put(_path(organization), subject | caps)
    tables.show(answer, json_output=json_output, columns=_COLUMNS)


@app.command
def delete(
    limit: Annotated[str, Parameter(help="Its id.")],
    organization: OrganizationOption = "default",
    *,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Take a limit away, with what counts against it."""
    with at.client() as client:
        client.delete(f"{_path(organization)}/{segment(limit)}")
    tables.show_deleted("limit", limit, json_output=json_output)


@app.command
def show(
    organization: OrganizationOption = "default",
    *,
    project: Annotated[str | None, Parameter(help="Only what a request of this project counts in.")] = None,
    key: Annotated[str | None, Parameter(help="Only what a request with this key counts in.")] = None,
    endpoint: Annotated[str | None, Parameter(help="And of this endpoint.")] = None,
    model: Annotated[str | None, Parameter(help="And of this model.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Show each cap, what is used of it now, what is left, and when it is whole again."""
    subjects = given({"project": project, "key": key, "endpoint": endpoint, "model": model})
    with at.client() as client:
        if subjects:
            found = client.get(f"{_path(organization)}/applying", **subjects)
            rows = [cap for one in found for cap in one["caps"]]
        else:
            rows = client.get(f"{_path(organization)}/standing")
    tables.show(rows, json_output=json_output, columns=_STANDING, empty="No limits.")


def _path(organization: str) -> str:
    return f"/organizations/{segment(organization)}/limits"


def _count(name: str, text: str) -> int | None:
    if text == _NONE:
        return None
    if not text.isdecimal():
        raise InvalidInput(f"--{name.replace('_', '-')} {text!r} is no whole number (or `none`)")
    return int(text)

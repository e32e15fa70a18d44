"""`arkwright requests`: every admitted request, those that failed among them."""

from itertools import islice
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from arkwright.cli import tables
from arkwright.cli.fields import moment, segment
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="requests", help="Every admitted request, those that failed among them.")
_COLUMNS = ("id", "started_at", "organization", "key", "model", "status", "outcome", "duration_us", "ttft_us", "amount")
_FIELDS = (
    "id", "organization", "project", "key", "key_id", "endpoint", "endpoint_id", "model", "target", "streamed",
    "status", "outcome", "code", "message", "started_at", "ended_at", "queue_us", "connect_us", "ttft_us",
)  # fmt: skip
_STAGE = ("kind", "attempt", "target", "outcome", "from_us", "until_us")
_ATTEMPT = ("target", "outcome", "status", "started_at", "ended_at", "connect_us", "ttft_us", "usage")


@app.command(name="list")
def list_(
    *,
    organization: Annotated[
        str | None, Parameter(name=["--organization", "-o"], help="Name or id; default: all.")
    ] = None,
    project: Annotated[str | None, Parameter(help="A project's id.")] = None,
    key: Annotated[str | None, Parameter(help="An API key's id.")] = None,
    model: str | None = None,
    endpoint: Annotated[str | None, Parameter(help="chat.completions and the like, or an ep-….")] = None,
    target: Annotated[str | None, Parameter(help="The deployment or provider that was asked.")] = None,
    status: Annotated[str | None, Parameter(help="2xx, 4xx, 5xx, 499 (the client left) or failed.")] = None,
    finish: Annotated[str | None, Parameter(help="completed, disconnected, upstream_error …")] = None,
    streamed: bool | None = None,
    longer_than_ms: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    since: Annotated[str | None, Parameter(help="Such as 2026-11-23, or 2026-11-23T00:00:00Z.")] = None,
    until: Annotated[str | None, Parameter(help="Such as 2026-12-01, or 2026-12-01T00:00:00Z; not included.")] = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1), help="How many at most.")] = 50,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """List requests, the newest first."""
    with at.client() as client:
        found = client.every(
            "/requests", organization=organization, project=project, key=key, model=model, endpoint=endpoint,
            target=target, status=status, finish=finish, streamed=None if streamed is None else str(streamed).lower(),
            longer_than_ms=longer_than_ms, since=moment(since), until=moment(until),
        )  # fmt: skip
        rows = list(islice(found, limit))
    tables.show(rows, json_output=json_output, columns=_COLUMNS, empty="There is no such request.")


@app.command
def show(request: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Show a request by its x-request-id: where its time went, what was tried, what it cost or why it failed."""
    with at.client() as client:
        found = client.get(f"/requests/{segment(request)}")
    if json_output:
        tables.print_json(found)
        return
    tables.show_fields(found, json_output=False, fields=_FIELDS)
    print()
    tables.show(found["stages"], json_output=False, columns=_STAGE, empty="It was tried nowhere.")
    if found["attempts"]:
        print("\ntries")
        tables.show(found["attempts"], json_output=False, columns=_ATTEMPT)
    if found["charge"]:
        print(f"\namount {found['charge']['amount']} {found['charge']['currency']}; see `arkwright charges show`")

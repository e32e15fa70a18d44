"""`arkwright webhooks`: receivers of usage events."""

import sys
from typing import Annotated

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, segment
from arkwright.cli.options import EXIT_FAILED, EXIT_OK, JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="webhooks", help="Receivers of usage events: CloudEvents, signed, in order, at least once.")
_COLUMNS = ("id", "name", "url", "organization", "batch", "paused", "delivered", "failures", "last_error")
_DELIVERIES = ("at", "message_id", "events", "status", "duration_us", "error")

Secret = Annotated[str | None, Parameter(help="whsec_…; `-` reads it from standard input; default: one is made.",
                                         allow_leading_hyphen=True)]  # fmt: skip


@app.command
def create(
    name: str,
    url: str,
    *,
    organization: Annotated[str | None, Parameter(help="Name or id; default: events of all.")] = None,
    batch: Annotated[int | None, Parameter(help="Events a message, up to 500; default: one.")] = None,
    source: Annotated[str | None, Parameter(help="`source` of the events; default: urn:arkwright:usage.")] = None,
    secret: Secret = None,
    from_start: Annotated[bool, Parameter(negative="", help="All events there are, not only those to come.")] = False,
    allow_private: Annotated[
        bool, Parameter(negative="", help="The URL may lead into your own network, and be http://.")
    ] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Send usage events to a URL. Shows the secret that signs them, once."""
    if secret == "-":  # noqa: S105 - where to read one from.
        secret = sys.stdin.readline().strip()
    body = given(
        {"name": name, "url": url, "organization": organization, "batch": batch, "source": source, "secret": secret}
    )
    with at.client() as client:
        answer = client.post("/webhooks", body | {"from_start": from_start, "allow_private": allow_private})
    fields = ("id", "name", "url", "organization", "batch", *(("secret",) if answer.get("secret") else ()))
    tables.show_fields(answer, json_output=json_output, fields=fields)


@app.command(name="list")
def list_(*, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """List all webhooks, and how each stands."""
    with at.client() as client:
        tables.show(list(client.every("/webhooks")), json_output=json_output, columns=_COLUMNS)


@app.command
def pause(name: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Send nothing; what it has not had waits for it."""
    with at.client() as client:
        tables.show(client.post(f"/webhooks/{segment(name)}/pause"), json_output=json_output, columns=_COLUMNS)


@app.command
def resume(name: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Go on where it stopped, at once, also after failures."""
    with at.client() as client:
        tables.show(client.post(f"/webhooks/{segment(name)}/resume"), json_output=json_output, columns=_COLUMNS)


@app.command(name="test")
def send_test(name: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> int:
    """Send one event of type maas.test.v1 now. Exit code: 0 it was taken, 1 it was not."""
    with at.client() as client:
        answer = client.post_long(f"/webhooks/{segment(name)}/test")
    fields = ("ok", "status", "duration_ms", "error", "message_id")
    tables.show_fields(answer, json_output=json_output, fields=fields)
    return EXIT_OK if answer["ok"] else EXIT_FAILED


@app.command
def deliveries(
    name: str,
    *,
    limit: Annotated[int, Parameter(help="At most this many, newest first.")] = 50,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Show the last messages and what became of them."""
    with at.client() as client:
        rows = client.get(f"/webhooks/{segment(name)}/deliveries", limit=limit)
    tables.show(rows, json_output=json_output, columns=_DELIVERIES, empty="Nothing was sent yet.")


@app.command
def delete(name: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Delete a webhook, and its place."""
    with at.client() as client:
        client.delete(f"/webhooks/{segment(name)}")
    tables.show_deleted("webhook", name, json_output=json_output)

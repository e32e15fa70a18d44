"""`arkwright alerts`: thresholds on money, and who is told."""

from typing import Annotated

from cyclopts import App, Parameter

from arkwright.cli import tables
from arkwright.cli.fields import given, segment
from arkwright.cli.options import EXIT_FAILED, EXIT_OK, JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="alerts", help="Thresholds on what is left, spent and foretold, told by mail and webhook.")
_COLUMNS = ("id", "name", "organization", "kind", "threshold", "currency", "value", "crossed", "enabled")
_MESSAGES = ("created_at", "id", "channel", "receiver", "state", "tries", "last_error")
_TRIED = ("channel", "receiver", "ok", "status", "duration_ms", "error")

Emails = Annotated[list[str] | None, Parameter(name="--email", negative="", help="An address; may be given again.")]
Url = Annotated[str | None, Parameter(help="Receiver of signed events; empty: none.")]
Language = Annotated[str | None, Parameter(help="en or zh_CN; default: that of the organization's invoices.")]


@app.command
def create(
    name: str,
    kind: Annotated[str, Parameter(help="balance, spend_day, spend_month, forecast, budget_day or budget_month.")],
    threshold: Annotated[str, Parameter(help="An amount, or (of a budget) a percentage.")],
    *,
    organization: Annotated[str | None, Parameter(help="Name or id; default: over all of the platform.")] = None,
    currency: Annotated[str | None, Parameter(help="Of the platform's alert; default: the platform's.")] = None,
    email: Emails = None,
    webhook_url: Url = None,
    locale: Language = None,
    allow_private: Annotated[
        bool, Parameter(negative="", help="The URL may lead into your own network, and be http://.")
    ] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Tell somebody when a threshold is crossed. Shows the secret that signs a webhook's messages, once."""
    body = given(
        {
            "name": name, "kind": kind, "threshold": threshold, "organization": organization, "currency": currency,
            "emails": email, "webhook_url": webhook_url, "locale": locale,
        }
    )  # fmt: skip
    with at.client() as client:
        answer = client.post("/alerts", body | {"allow_private": allow_private})
    fields = (*_COLUMNS[:6], "emails", "webhook_url", *(("secret",) if answer.get("secret") else ()))
    tables.show_fields(answer, json_output=json_output, fields=fields)


@app.command(name="list")
def list_(
    *,
    organization: Annotated[str | None, Parameter(help="Name or id; default: all.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """List alerts, and how each stands."""
    with at.client() as client:
        rows = list(client.every("/alerts", organization=organization))
    tables.show(rows, json_output=json_output, columns=_COLUMNS, empty="There is no alert yet.")


@app.command
def update(
    alert: Annotated[str, Parameter(help="Its id.")],
    *,
    name: str | None = None,
    threshold: str | None = None,
    email: Emails = None,
    webhook_url: Url = None,
    locale: Language = None,
    enabled: Annotated[bool | None, Parameter(help="Whether it watches.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Change what is given; with another threshold it stands as if nothing had been told."""
    body = given(
        {
            "name": name, "threshold": threshold, "emails": email, "webhook_url": webhook_url, "locale": locale,
            "enabled": enabled,
        }
    )  # fmt: skip
    with at.client() as client:
        answer = client.patch(f"/alerts/{segment(alert)}", body)
    fields = (*_COLUMNS, "emails", "webhook_url", *(("secret",) if answer.get("secret") else ()))
    tables.show_fields(answer, json_output=json_output, fields=fields)


@app.command(name="test")
def send_test(alert: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> int:
    """Send a message that says it is a test to each receiver. Exit code: 0 all took it, 1 one did not."""
    with at.client() as client:
        answers = client.post_long(f"/alerts/{segment(alert)}/test")
    tables.show(answers, json_output=json_output, columns=_TRIED)
    return EXIT_OK if all(answer["ok"] for answer in answers) else EXIT_FAILED


@app.command
def messages(
    alert: str,
    *,
    limit: Annotated[int, Parameter(help="At most this many, newest first.")] = 50,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Show what its crossings told, and whether it arrived."""
    with at.client() as client:
        rows = client.get(f"/alerts/{segment(alert)}/messages", limit=limit)
    tables.show(rows, json_output=json_output, columns=_MESSAGES, empty="It has told nothing yet.")


@app.command
def delete(alert: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Delete an alert, and what it had still to tell."""
    with at.client() as client:
        client.delete(f"/alerts/{segment(alert)}")
    tables.show_deleted("alert", alert, json_output=json_output)

"""`arkwright charges`: what each request cost, and why."""

from itertools import islice
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from arkwright.cli import tables
from arkwright.cli.fields import moment, segment
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions

app = App(name="charges", help="What each request cost, and the lines that made it.")
_COLUMNS = ("id", "started_at", "organization", "model", "key", "usage", "amount", "currency")
_FIELDS = (
    "id", "organization", "project", "key", "key_id", "endpoint", "model", "target", "upstream_request_id", "status",
    "finish", "started_at", "ended_at", "queue_us", "connect_us", "ttft_us", "usage", "usage_source", "circumstances",
    "price_version", "currency",
)  # fmt: skip
_ATTEMPT = (
    "target",
    "outcome",
    "status",
    "started_at",
    "ended_at",
    "connect_us",
    "ttft_us",
    "usage",
    "cost",
    "cost_state",
)
_LINE = ("item", "quantity", "unit", "price", "list_price", "discount_percent", "lot", "amount", "rule")


@app.command(name="list")
def list_(
    *,
    organization: Annotated[
        str | None, Parameter(name=["--organization", "-o"], help="Name or id; default: all.")
    ] = None,
    model: str | None = None,
    key: Annotated[str | None, Parameter(help="An API key's id.")] = None,
    since: Annotated[str | None, Parameter(help="Such as 2026-11-23, or 2026-11-23T00:00:00Z.")] = None,
    until: Annotated[str | None, Parameter(help="Such as 2026-12-01, or 2026-12-01T00:00:00Z; not included.")] = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1), help="How many at most.")] = 50,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """List charges, the newest first."""
    with at.client() as client:
        found = client.every(
            "/charges", organization=organization, model=model, key=key, since=moment(since), until=moment(until)
        )
        rows = list(islice(found, limit))
    shown = rows if json_output else [{**row, "key": row["key"] or row["key_id"]} for row in rows]
    tables.show(shown, json_output=json_output, columns=_COLUMNS, empty="Nothing was charged.")


@app.command
def show(charge: str, *, json_output: JsonOption = False, at: TargetOptions = HERE) -> None:
    """Show a charge by the x-request-id of its answer: each line, its price, and the rule behind it."""
    with at.client() as client:
        found = client.get(f"/charges/{segment(charge)}")
    if json_output:
        tables.print_json(found)
        return
    tables.show_fields(found, json_output=False, fields=_FIELDS)
    print()
    tables.show(found["lines"], json_output=False, columns=_LINE, empty="It has no lines: nothing was used.")
    print(f"amount {found['amount']} {found['currency']}")
    for name in ("granted", "uncollected"):
        if found[name].strip("0."):
            print(f"of it {name} {found[name]}")
    if found["attempts"]:
        print("\ntries")
        tables.show(found["attempts"], json_output=False, columns=_ATTEMPT)
    for change in found["adjustments"]:
        print(f"\nrerated by {change['run_id']} under {change['price_version']}: {change['delta']}")
        tables.show(change["lines"], json_output=False, columns=_LINE)
    if found["adjustments"]:
        print(f"now {found['amount_now']} {found['currency']}")

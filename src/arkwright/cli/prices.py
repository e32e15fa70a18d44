"""`arkwright prices`: the price book. Versions are added, never changed."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from arkwright.basics.errors import InvalidInput
from arkwright.cli import price_rows, tables
from arkwright.cli.fields import given
from arkwright.cli.options import JsonOption
from arkwright.cli.price_books import book, books
from arkwright.cli.price_drafts import activate, diff, discard, draft, drafts, validate
from arkwright.cli.price_quotes import quote
from arkwright.cli.price_trials import try_
from arkwright.cli.target import HERE, TargetOptions

app = App(name="prices", help="The price book.")
for command in (quote, books, book, draft, drafts, diff, validate, activate, discard):
    app.command(command)
app.command(try_, name="try")
_COLUMNS = ("model", "currency", *price_rows.COLUMNS, "valid_from", "id")


@app.command(name="list")
def list_(
    *,
    model: str | None = None,
    currency: str | None = None,
    history: Annotated[bool, Parameter(negative="", help="Every version there ever was.")] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """List the prices in force and those to come."""
    with at.client() as client:
        if history:
            rows = list(client.every("/prices", model=model, currency=currency))
        else:
            wanted = given({"model": model, "currency": currency})
            found = client.get("/prices/in-force")
            rows = [row for row in found if all(row[field] == value for field, value in wanted.items())]
    if json_output:
        tables.print_json(rows)
        return
    tables.show([line for row in rows for line in _lines(row)], json_output=False, columns=_COLUMNS)


@app.command
def show(
    model: str,
    *,
    currency: str | None = None,
    history: Annotated[bool, Parameter(negative="", help="Every version there ever was.")] = False,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Show a model's prices, each with its rules and the hours they name."""
    with at.client() as client:
        if history:
            found = list(client.every("/prices", model=model, currency=currency))
        else:
            found = [row for row in client.get("/prices/in-force") if row["model"] == model]
    found = [row for row in found if currency in (None, row["currency"])]
    if json_output:
        tables.print_json(found)
        return
    if not found:
        raise InvalidInput(f"{model!r} has no price; `arkwright prices set` gives it one")
    for place, price in enumerate(found):
        if place:
            print()
        print(f"{price['model']}, {price['currency']}, from {price['valid_from']}: {price['id']}")
        for window in price_rows.windows(price):
            print(f"window {window}")
        tables.show(price_rows.rows(price), json_output=False, columns=price_rows.COLUMNS)


@app.command(name="set")
def set_(
    model: str,
    *,
    input_per_million: Annotated[str, Parameter(name=["--input-per-million", "--input"])],
    output_per_million: Annotated[str, Parameter(name=["--output-per-million", "--output"])],
    cached_input_per_million: Annotated[
        str | None, Parameter(name=["--cached-input-per-million", "--cached-input"])
    ] = None,
    tier: Annotated[
        list[str] | None,
        Parameter(negative="", help="ABOVE:INPUT:OUTPUT[:CACHED], the prices of inputs longer than ABOVE; repeat it."),
    ] = None,
    currency: str | None = None,
    valid_from: Annotated[str | None, Parameter(help="Such as 2027-01-31T00:00:00Z; default: now.")] = None,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Set a model's price, such as `prices set m --input 0.25 --output 2.00`: a new version, if it is another price."""
    body = given(
        {
            "model": model,
            "currency": currency,
            "input_per_million": input_per_million,
            "cached_input_per_million": cached_input_per_million,
            "output_per_million": output_per_million,
            "tiers": [_tier(text) for text in tier] if tier else None,
            "valid_from": valid_from,
        }
    )
    with at.client() as client:
        change = client.post("/prices", body)
    tables.show(change, json_output=json_output, columns=("name", "action", "id"))


def _tier(text: str) -> dict[str, Any]:
    parts = text.split(":")
    if len(parts) not in (3, 4) or not parts[0].isdecimal():
        raise InvalidInput(f"{text!r} is no tier: write ABOVE:INPUT:OUTPUT or ABOVE:INPUT:OUTPUT:CACHED")
    names = ("input_per_million", "output_per_million", "cached_input_per_million")
    return {"above_input_tokens": int(parts[0]), **dict(zip(names, parts[1:], strict=False))}


def _lines(row: dict[str, Any]) -> list[dict[str, Any]]:
    """A line for each rule; the first one says of what version they are."""
    first, *others = price_rows.rows(row)
    return [{**row, **first}, *({**other, "model": "", "currency": ""} for other in others)]

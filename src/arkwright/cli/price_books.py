"""`arkwright prices books` and `prices book`: ready-made prices, read from the package; no platform is asked."""

from importlib import resources
from typing import Annotated

import msgspec
from cyclopts import Parameter

from arkwright.cli import price_rows, tables
from arkwright.cli.options import JsonOption
from arkwright.control import price_books

_COLUMNS = ("name", "title", "models", "as_of")


def books(*, json_output: JsonOption = False) -> None:
    """List the ready-made price books: what vendors charge, with date and sources."""
    found = [msgspec.to_builtins(book) for book in price_books.books().values()]
    if not json_output:
        found = [{**book, "models": [price["model"] for price in book["prices"]]} for book in found]
    tables.show(found, json_output=json_output, columns=_COLUMNS)


def book(
    name: str,
    *,
    toml: Annotated[bool, Parameter(negative="", help="As a file, to be changed and given to `prices draft`.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Show a ready-made price book: its prices, its date, its sources and what they do not say."""
    found = price_books.by_name(name)
    if json_output:
        tables.print_json(msgspec.to_builtins(found))
        return
    if toml:
        text = resources.files("arkwright").joinpath("books", f"{name}.toml").read_text()
        print(text[text.index("[[prices]]") :], end="")
        return
    print(f"{found.title}\nas of {found.as_of}")
    for heading, lines in (("source", found.sources), ("unconfirmed", found.unconfirmed)):
        for line in lines:
            print(f"{heading}: {line}")
    for price in found.prices:
        shown = msgspec.to_builtins(price)
        print(f"\n{price.model}, {price.currency}")
        for window in price_rows.windows(shown):
            print(f"window {window}")
        tables.show(price_rows.rows(shown), json_output=False, columns=price_rows.COLUMNS)

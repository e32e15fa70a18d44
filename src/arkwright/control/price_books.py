"""Ready-made price books: what vendors charge, as dated files with their sources, in the language of the platform file.

Law: a book is a place to start from and nothing is sold by it: its prices hold once they are in a version of one's own.
"""

import datetime
import difflib
import functools
from importlib import resources

import msgspec

from arkwright.basics.errors import InvalidInput, NotFound
from arkwright.control.prices import PriceFields, sound

_FOLDER = "books"


class BookPrice(PriceFields, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The price of one model in a book."""

    model: str
    currency: str


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """`as_of`: the day on which the sources were read. `unconfirmed`: what they do not say, or not surely."""

    name: str
    title: str
    as_of: datetime.date
    sources: list[str]
    unconfirmed: list[str]
    prices: list[BookPrice]


class _Head(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    title: str
    as_of: datetime.date
    sources: list[str]
    unconfirmed: list[str] = []


class _File(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    book: _Head
    prices: list[BookPrice]


@functools.cache
def books() -> dict[str, Book]:
    """By name, in alphabetical order."""
    folder = resources.files("arkwright").joinpath(_FOLDER)
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return {file.name[:-5]: read(file.name[:-5], file.read_bytes()) for file in files}


def read(name: str, text: bytes) -> Book:
    """Raises msgspec.ValidationError, or InvalidInput for a price that the check refuses."""
    file = msgspec.toml.decode(text, type=_File)
    for price in file.prices:
        sound(price)
    return Book(
        name=name,
        title=file.book.title,
        as_of=file.book.as_of,
        sources=file.book.sources,
        unconfirmed=file.book.unconfirmed,
        prices=file.prices,
    )


def by_name(name: str) -> Book:
    """Raises NotFound that names the nearest one."""
    known = books()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise NotFound(f"there is no book {name[:100]!r}; {hint}", param="book")
    return known[name]


def price_in(name: str, model: str = "", currency: str = "") -> BookPrice:
    """The one price that is meant: the book's only one, or that of the model. Raises NotFound, InvalidInput."""
    book = by_name(name)
    found = [price for price in book.prices if model in ("", price.model) and currency in ("", price.currency)]
    if len(found) != 1:
        there = ", ".join(f"{price.model} ({price.currency})" for price in book.prices)
        wrong = f"book {name!r} has no price of {model or 'that kind'}" if not found else f"say which price of {name!r}"
        raise InvalidInput(f"{wrong}; it has {there}", param="book_model")
    return found[0]

"""What is proved and how it is written: rows, each organization's part of a root, signed roots, the file of an export.

A *root* covers what the feed took since the root before, on one UTC day; a day has one root once it is over, and more
if somebody asked earlier. Below it are two levels of trees. Each organization has a tree of its own rows; the root's
tree has one leaf for every organization, also for one without a row, so that nothing can be left out of an export
unseen. A leaf holds a salt: nobody can learn from a hash beside his own what another one used.

Law: the bytes that are hashed or signed are the JSON of these structs, keys sorted, no blanks, UTF-8, fields at their
default left out; amounts are decimal strings of pico. Fields are only ever added, with a default, so that what was
proved stays proved.
"""

from hashlib import sha256
from typing import Literal

import msgspec

from arkwright.domain import merkle
from arkwright.domain.feeds import UsageEvent
from arkwright.domain.journal import Draw
from arkwright.domain.metering import Usage
from arkwright.domain.pricing import ChargeLine

VERSION = 1
_SIGNED = b"arkwright root 1\n"  # In front of what is signed: no other use of the key can be taken for a root.
_encoder = msgspec.json.Encoder(order="sorted")


class RowLine(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A line of a charge; `list_pico_per_unit` empty: as charged."""

    item: str
    quantity: int
    pico_per_unit: str
    amount_pico: str
    above_input_tokens: int = 0
    list_pico_per_unit: str = ""
    discount_bp: int = 0
    lot: str = ""
    rule: str = ""


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A charge as it is proved: all that the ledger has of it, but for the ledger's own numbers.

    Defaults are zero, False or empty: what is left out by an encoder must not hang on which object a value is.
    """

    event_id: str
    organization_id: str
    organization_class: str
    industry: str = ""
    prepaid: bool
    project_id: str
    key_id: str
    endpoint: str
    model: str
    target: str
    upstream_model: str
    upstream_request_id: str
    streamed: bool
    status: int
    finish: str
    started_us: int
    ended_us: int
    placed_us: int
    ttft_us: int | None
    usage: Usage
    usage_source: str
    mode: str
    service_tier: str
    thinking: bool = False
    resolution: str = ""
    currency: str
    price_version: str
    lines: tuple[RowLine, ...]
    draws: tuple[Draw, ...] = ()
    amount_pico: str
    granted_pico: str
    uncollected_pico: str


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One organization's leaf of a root. `root`: of the tree of its rows, in the order of the feed. Pico by currency.

    `salt` makes it unguessable.
    """

    organization_id: str
    rows: int
    amount_pico: dict[str, str]
    root: str
    salt: str


class Root(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed. `previous`: the hash of the root before, a chain; `journals`: the hash of the journals' heads.

    `over`: the last root of its day. It says nothing of how many organizations or rows there are.
    """

    number: int
    day: str
    over: bool
    tree: str
    previous: str
    journals: str
    sealed_us: int
    version: int = VERSION


class ExportHead(msgspec.Struct, frozen=True, tag_field="kind", tag="usage proof", forbid_unknown_fields=True):
    """First line. All roots of the days from `first` to `last` follow."""

    organization_id: str
    first: str
    last: str
    key: str
    version: int = VERSION


class ExportRoot(msgspec.Struct, frozen=True, tag_field="kind", tag="root", forbid_unknown_fields=True):
    """A root, its signature (hexadecimal), the organization's part and the way from there to the root's tree.

    The rows of the part follow it, all of them, in order.
    """

    root: Root
    signature: str
    part: Part
    path: tuple[tuple[Literal["L", "R"], str], ...]


class ExportRow(msgspec.Struct, frozen=True, tag_field="kind", tag="row", forbid_unknown_fields=True):
    """A row, its place in the part, counted from 0, and the way from there to the part's root."""

    index: int
    row: Row
    path: tuple[str, ...]


class ExportEnd(msgspec.Struct, frozen=True, tag_field="kind", tag="end", forbid_unknown_fields=True):
    """Last line: how many there were."""

    roots: int
    rows: int
    amount_pico: dict[str, str]


ExportLine = ExportHead | ExportRoot | ExportRow | ExportEnd
_line_decoder: "msgspec.json.Decoder[ExportLine]" = msgspec.json.Decoder(ExportLine)


def canonical(thing: msgspec.Struct) -> bytes:
    return _encoder.encode(thing)


def decode_line(line: bytes) -> ExportLine:
    """Raises msgspec's errors, or UnicodeDecodeError."""
    return _line_decoder.decode(line)


def decode_root(data: bytes) -> Root:
    return msgspec.json.decode(data, type=Root)


def decode_part(data: bytes) -> Part:
    return msgspec.json.decode(data, type=Part)


def row_of(event: UsageEvent) -> Row:
    return Row(
        lines=tuple(map(_line_of, event.lines)),
        amount_pico=str(event.amount_pico),
        granted_pico=str(event.granted_pico),
        uncollected_pico=str(event.uncollected_pico),
        **{name: getattr(event.circumstances, name) for name in _ASKED},
        **{name: getattr(event, name) for name in _AS_THEY_ARE},
    )


def leaf_of(thing: Row | Part) -> bytes:
    return merkle.leaf(canonical(thing))


def hash_of(root: Root) -> str:
    """What the next root names as the one before."""
    return sha256(canonical(root)).hexdigest()


def signed_bytes(root: Root) -> bytes:
    return _SIGNED + canonical(root)


class Counted:
    """One organization's part while its rows come in."""

    def __init__(self) -> None:
        self._tree = merkle.Growing()
        self._amounts: dict[str, int] = {}

    def add(self, row: Row) -> None:
        self._tree.add(leaf_of(row))
        self._amounts[row.currency] = self._amounts.get(row.currency, 0) + int(row.amount_pico)

    def part(self, organization_id: str, salt: str) -> Part:
        amounts = {currency: str(pico) for currency, pico in self._amounts.items()}
        return Part(organization_id, self._tree.size, amounts, self._tree.root().hex(), salt)


def in_order(parts: list[bytes]) -> list[bytes]:
    """The leaves of a root's tree: by their hashes, so that a place in it says nothing."""
    return sorted(merkle.leaf(part) for part in parts)


def _line_of(line: ChargeLine) -> RowLine:
    return RowLine(
        line.item,
        line.quantity,
        str(line.pico_per_unit),
        str(line.amount_pico),
        line.above_input_tokens,
        "" if line.list_pico_per_unit is None else str(line.list_pico_per_unit),
        line.discount_bp,
        line.lot,
        line.rule,
    )


_ASKED = ("mode", "service_tier", "thinking", "resolution")
_AS_THEY_ARE = tuple(
    field.name
    for field in msgspec.structs.fields(Row)
    if field.name not in {"lines", "amount_pico", "granted_pico", "uncollected_pico", *_ASKED}
)

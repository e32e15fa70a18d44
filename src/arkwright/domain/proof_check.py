"""Checks the file of an export line by line: signatures, chain, completeness, each row's place, and the arithmetic.

Law: a file of any length is checked in the memory of one line; each fault names the line and the thing, and checking
goes on after it. No single change of a file is passed over: every byte of it is hashed, counted or compared.
"""

from collections.abc import Callable, Iterator

import msgspec

from arkwright.domain import merkle, proofs
from arkwright.domain.pricing import KINDS, discounted
from arkwright.domain.proofs import ExportEnd, ExportHead, ExportRoot, ExportRow, Row, RowLine

FAULTS_MAX = 1_000
_HASH_LETTERS = frozenset("0123456789abcdef")


class Fault(msgspec.Struct, frozen=True):
    """`line` counts from 1; 0: the file as a whole."""

    line: int
    subject: str
    what: str


class Checker:
    """`check` each line, with its end, in order; then `finish`. `holds(signature, message)` knows the key."""

    def __init__(self, holds: Callable[[bytes, bytes], bool], key: str) -> None:
        self.faults: list[Fault] = []
        self.omitted = 0
        self.roots = self.rows = 0
        self.organization_id = ""
        self.amount_pico: dict[str, int] = {}
        self._holds = holds
        self._key = key
        self.line = 0
        self._head: ExportHead | None = None
        self._root: ExportRoot | None = None
        self._due = 0  # The index that the next row of this part should have.
        self._in_part: dict[str, int] = {}
        self._before = ""  # The event of the row before.
        self._ended = False

    def check(self, text: bytes) -> None:
        self.line += 1
        if self._ended:
            return self._fault("the file", "it goes on after its end")
        try:
            line = proofs.decode_line(text)
        except UnicodeDecodeError as error:
            return self._fault("this line", f"it is not UTF-8: {error.reason} at byte {error.start} of the line")
        except msgspec.MsgspecError as error:
            return self._fault("this line", f"it is none that an export has: {error}")
        if proofs.canonical(line) + b"\n" != text:
            self._fault("this line", "it is not written as an export writes it: something was put in or changed")
        if self.line == 1 and not isinstance(line, ExportHead):
            self._fault("the file", "it does not begin as an export does")
        if isinstance(line, ExportRow):
            self._check_row(line)
        elif isinstance(line, ExportRoot):
            self._check_root(line)
        elif isinstance(line, ExportHead):
            self._check_head(line)
        else:
            self._check_end(line)

    def finish(self) -> None:
        if not self._ended:
            self.line = 0
            self._fault("the file", "it has no end: it was cut off, or its last lines were taken away")

    def _check_head(self, head: ExportHead) -> None:
        if self.line != 1:
            return self._fault("this line", "an export begins here, inside another one")
        self._head = head
        self.organization_id = head.organization_id
        if head.key != self._key:
            self._fault("the key", f"the file says that {head.key} signed; it is checked with {self._key}")
        if head.version != proofs.VERSION:
            self._fault("the file", f"it is of version {head.version}; this program knows {proofs.VERSION}")

    def _check_root(self, line: ExportRoot) -> None:
        self._close_part()
        root, before, subject = line.root, self._root, _named(line)
        if not self._holds(_bytes(line.signature), proofs.signed_bytes(root)):
            self._fault(subject, "its signature does not hold under this key: it was edited, or another key signed it")
        if before is None:
            if self._head is not None and root.day != self._head.first:
                self._fault(subject, f"the export says that it begins with {self._head.first}")
        else:
            self._check_chain(subject, before, line)
        if line.part.organization_id != self.organization_id:
            self._fault(subject, f"its part is of {line.part.organization_id}, the export of {self.organization_id}")
        turns = [(side, _bytes(sibling)) for side, sibling in line.path]
        if merkle.root_by_turns(proofs.leaf_of(line.part), turns).hex() != root.tree:
            self._fault(subject, "its part (rows, sums, root, salt) or the path does not lead to the tree signed")
        self._root, self._due, self._in_part, self._before = line, 0, {}, ""
        self.roots += 1

    def _check_chain(self, subject: str, before: ExportRoot, line: ExportRoot) -> None:
        if line.root.number != before.root.number + 1:
            self._fault(subject, f"it follows root {before.root.number}: what was between them is not there")
        elif line.root.previous != proofs.hash_of(before.root):
            self._fault(subject, f"it does not follow from root {before.root.number} as that stands here")
        if line.root.day != before.root.day and not before.root.over:
            self._fault(subject, f"its day begins before the roots of {before.root.day} are complete")

    def _check_row(self, line: ExportRow) -> None:
        row, subject = line.row, f"event {line.row.event_id}"
        self.rows += 1
        for found in _arithmetic(row):
            self._fault(subject, found)
        self._add(row)
        root = self._root
        if root is None:
            return self._fault(subject, "it belongs to no root")
        self._check_index(subject, line, root)
        if row.organization_id != self.organization_id:
            self._fault(subject, f"it is of {row.organization_id}, the export of {self.organization_id}")
        path = [_bytes(sibling) for sibling in line.path]
        reached = merkle.root_by_path(proofs.leaf_of(row), line.index, root.part.rows, path)
        if reached is None or reached.hex() != root.part.root:
            self._fault(subject, f"it, or its path, was edited or put in: it is not row {line.index} of {_named(root)}")
        self._before = row.event_id

    def _check_index(self, subject: str, line: ExportRow, root: ExportRoot) -> None:
        if line.index == self._due:
            self._due += 1
        elif line.index > self._due:
            self._missing(root, line.index)
            self._due = line.index + 1
        else:
            self._fault(subject, f"row {line.index} of {_named(root)} was there before: it is twice, or out of order")

    def _add(self, row: Row) -> None:
        pico = _whole(row.amount_pico) or 0
        for sums in (self.amount_pico, self._in_part):
            sums[row.currency] = sums.get(row.currency, 0) + pico

    def _close_part(self) -> None:
        """The part that ends here has all its rows, and they add up to it."""
        root = self._root
        if root is None:
            return
        if self._due < root.part.rows:
            self._missing(root, root.part.rows)
        if _written(self._in_part) != root.part.amount_pico:
            what = f"its rows here add up to {_written(self._in_part)}; it says {root.part.amount_pico}"
            self._fault(_named(root), what)

    def _missing(self, root: ExportRoot, upto: int) -> None:
        what = f"row {self._due}" if upto == self._due + 1 else f"rows {self._due} to {upto - 1}"
        after = f", after event {self._before}" if self._before else ""
        self._fault(_named(root), f"{what} of its {root.part.rows} is not here{after}")

    def _check_end(self, end: ExportEnd) -> None:
        self._close_part()
        self._ended = True
        found = ExportEnd(self.roots, self.rows, _written(self.amount_pico))
        if found != end:
            self._fault("the end", f"it says {_counts(end)}; here are {_counts(found)}")
        last = self._root.root.day if self._root else ""
        if self._head is not None and last != self._head.last:
            self._fault("the end", f"the last root is of {last or 'no day'}; the export goes to {self._head.last}")

    def _fault(self, subject: str, what: str) -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(Fault(self.line, subject, what))
        else:
            self.omitted += 1


def _arithmetic(row: Row) -> Iterator[str]:
    """What a row contradicts itself in."""
    if any(_whole(text) is None for text in _amounts(row)):
        yield "an amount of it is no whole number of pico"
        return
    for line in row.lines:
        yield from _line_arithmetic(line)
    total = sum(int(line.amount_pico) for line in row.lines)
    if total != int(row.amount_pico):
        yield f"its lines add up to {total}; it says {row.amount_pico}"
    if int(row.granted_pico) + int(row.uncollected_pico) > int(row.amount_pico):
        yield "more of it is granted and uncollected than it costs"
    yield from _quantities(row)


def _amounts(row: Row) -> Iterator[str]:
    yield from (row.amount_pico, row.granted_pico, row.uncollected_pico)
    for line in row.lines:
        yield from (line.pico_per_unit, line.amount_pico)


def _quantities(row: Row) -> Iterator[str]:
    """What was used is what is charged, item by item."""
    charged: dict[str, int] = {}
    for line in row.lines:
        charged[line.item] = charged.get(line.item, 0) + line.quantity
    for item, kind in KINDS.items():
        counted = getattr(row.usage, kind.counts)
        if counted != charged.get(item, 0):
            yield f"{counted} {kind.counts} were used; {charged.get(item, 0)} are charged"


def _line_arithmetic(line: RowLine) -> Iterator[str]:
    unit, amount = int(line.pico_per_unit), int(line.amount_pico)
    if line.item not in KINDS:
        yield f"{line.item} is nothing that is charged"
    if line.quantity * unit != amount:
        yield f"{line.item}: {line.quantity} × {unit} is {line.quantity * unit}, not {amount}"
    listed = _whole(line.list_pico_per_unit or line.pico_per_unit)
    due = 0 if line.lot else discounted(listed, line.discount_bp) if listed is not None else None
    if due != unit:
        yield f"{line.item}: {unit} a unit is not its list price less its discount, which is {due}"


def _whole(text: str) -> int | None:
    """A decimal string without sign, blanks or leading zeros, of at most 38 digits."""
    if not text.isascii() or not text.isdecimal() or len(text) > 38 or (text[0] == "0" and text != "0"):
        return None
    return int(text)


def _bytes(text: str) -> bytes:
    """Hexadecimal in small letters; anything else is the empty bytes, which no hash and no signature is."""
    return bytes.fromhex(text) if len(text) % 2 == 0 and _HASH_LETTERS.issuperset(text) else b""


def _written(amounts: dict[str, int]) -> dict[str, str]:
    return {currency: str(pico) for currency, pico in amounts.items()}


def _named(line: ExportRoot) -> str:
    return f"root {line.root.number} of {line.root.day}"


def _counts(end: ExportEnd) -> str:
    amounts = ", ".join(f"{pico} pico {currency}" for currency, pico in sorted(end.amount_pico.items()))
    return f"{end.roots} roots, {end.rows} rows, {amounts or 'no amount'}"

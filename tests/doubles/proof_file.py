"""An export with proof, made in memory as the platform makes it: three days, one with two roots; other customers."""

import random
from collections.abc import Sequence
from hashlib import sha256

import msgspec

from arkwright.basics.ids import new_event_id
from arkwright.domain import merkle, proofs
from arkwright.domain.metering import Usage
from arkwright.domain.pricing import ChargeLine, Terms, rate, total
from arkwright.domain.proofs import Counted, ExportEnd, ExportHead, ExportRoot, ExportRow, Part, Root, Row, canonical
from tests.doubles.money import PRICE
from tests.unit.domain.test_feeds import EVENT

DAYS = (("2026-01-01", True), ("2026-01-02", False), ("2026-01-02", True), ("2026-01-03", True))


class Key:
    """A signature that only this key makes and knows: what the rules see of Ed25519."""

    def __init__(self, name: str = "key") -> None:
        self.public = f"test:{name}"

    def sign(self, message: bytes) -> bytes:
        return sha256(self.public.encode() + message).digest()

    def holds(self, signature: bytes, message: bytes) -> bool:
        return signature == self.sign(message)


def rows_of(owner: str, count: int, chance: random.Random) -> list[Row]:
    made = []
    for _ in range(count):
        usage = Usage(chance.randint(1, 50), chance.randint(0, 3), 0, chance.randint(0, 90))
        lines = rate(Terms(PRICE, 1, chance.choice((0, 1_500))), usage)
        if chance.random() < 0.2:
            first = lines[0]
            free = ChargeLine(first.item, first.quantity, 0, 0, 0, first.list_price_pico, 0, lot="lot_a")
            lines = (free, *lines[1:])
        event = msgspec.structs.replace(
            EVENT,
            event_id=new_event_id().hex(),
            organization_id=owner,
            usage=usage,
            lines=lines,
            amount_pico=total(lines),
        )
        made.append(proofs.row_of(event))
    return made


def export(key: Key, counts: Sequence[int] = (3, 0, 5, 1), seed: int = 0, owner: str = "org_a") -> list[bytes]:
    """The lines of the file, with their ends."""
    chance = random.Random(seed)
    lines: list[bytes] = [canonical(ExportHead(owner, DAYS[0][0], DAYS[len(counts) - 1][0], key.public))]
    amounts: dict[str, int] = {}
    previous = ""
    for number, count in enumerate(counts, 1):
        rows = rows_of(owner, count, chance)
        root = _root(key, number, previous, rows, owner, chance)
        lines.append(canonical(root))
        own = merkle.Tree([proofs.leaf_of(row) for row in rows])
        for index, row in enumerate(rows):
            lines.append(canonical(ExportRow(index, row, tuple(digest.hex() for digest in own.path(index)))))
            amounts[row.currency] = amounts.get(row.currency, 0) + int(row.amount_pico)
        previous = proofs.hash_of(root.root)
    written = {currency: str(pico) for currency, pico in amounts.items()}
    lines.append(canonical(ExportEnd(len(counts), sum(counts), written)))
    return [line + b"\n" for line in lines]


def _root(key: Key, number: int, previous: str, rows: list[Row], owner: str, chance: random.Random) -> ExportRoot:
    """Over these rows and those of four others."""
    everybody = {f"org_{index}": rows_of(f"org_{index}", index, chance) for index in range(4)} | {owner: rows}
    parts = {name: _part(name, those, chance) for name, those in everybody.items()}
    leaves = proofs.in_order([canonical(part) for part in parts.values()])
    tree = merkle.Tree(leaves)
    day, over = DAYS[number - 1]
    root = Root(number, day, over, tree.root.hex(), previous, "00" * 32, number)
    turns = tree.turns(leaves.index(proofs.leaf_of(parts[owner])))
    shown = tuple((side, digest.hex()) for side, digest in turns)
    return ExportRoot(root, key.sign(proofs.signed_bytes(root)).hex(), parts[owner], shown)


def _part(name: str, rows: list[Row], chance: random.Random) -> Part:
    counted = Counted()
    for row in rows:
        counted.add(row)
    return counted.part(name, chance.randbytes(16).hex())

"""Proof of what was charged: a signed root for each day, and each customer's own rows with the way to it.

Law: sealing twice changes nothing; a root covers exactly what the feed took since the one before. An export holds rows
of one organization and hashes, nothing of another; rows that are no longer what was sealed are never proved anew.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256

import msgspec

from arkwright.basics.clock import now_us
from arkwright.basics.errors import InternalError, InvalidInput
from arkwright.basics.signing import Signer
from arkwright.control import exports, organizations
from arkwright.control.platform import Platform
from arkwright.domain import merkle
from arkwright.domain import proofs as rules
from arkwright.domain.feeds import UsageEvent
from arkwright.domain.proofs import Counted, ExportEnd, ExportHead, ExportRoot, ExportRow, Part, Root, canonical
from arkwright.store import feeds, statements
from arkwright.store import proofs as store
from arkwright.store.feeds import Place
from arkwright.store.proofs import LastRoot, StoredRoot

_SALT_BYTES = 16
_EXPORTED_ROOTS_MAX = 20_000


class RootView(msgspec.Struct, frozen=True):
    """A signed root, as it may be published. `signature` and hashes in hexadecimal."""

    number: int
    day: str
    over: bool
    tree: str
    previous: str
    hash: str
    signature: str
    key: str
    sealed_at: datetime


class KeyView(msgspec.Struct, frozen=True):
    key: str


async def seal_due(platform: Platform) -> None:
    """A root for each day that is over and has none; the chore of each minute."""
    await feeds.give_places(platform.database)
    over = await feeds.close_days(platform.database)
    signer = Signer(platform.settings.paths.signing_key)
    while over is not None:
        async with platform.reading() as connection:
            last = await store.last(connection)
            day = await _next_day(platform, last)
        if day is None or day > over:
            return
        await _seal(platform, signer, last, day, over=True)


async def seal_now(platform: Platform) -> None:
    """Every day that is over, and what today has so far. Nothing when there is nothing new."""
    await exports.refresh(platform)
    await seal_due(platform)
    async with platform.reading() as connection:
        last = await store.last(connection)
        day = await _next_day(platform, last)
        upto = 0 if day is None else await store.position_at_end(connection, day)
    if day is not None and upto > last.upto_position:
        await _seal(platform, Signer(platform.settings.paths.signing_key), last, day, over=False)


async def listing(platform: Platform, since: date | None, until: date | None, after: int, limit: int) -> list[RootView]:
    async with platform.reading() as connection:
        found = await store.roots(connection, after=after, since=since, until=until, limit=limit)
    return [_shown(root) for root in found]


async def newest(platform: Platform) -> list[RootView]:
    """The last root, if there is one."""
    async with platform.reading() as connection:
        number = (await store.last(connection)).number
        found = await store.roots(connection, after=number - 1, limit=1)
    return [_shown(root) for root in found]


def key(platform: Platform) -> KeyView:
    return KeyView(Signer(platform.settings.paths.signing_key).public)


async def export(platform: Platform, organization: str, since: date | None, until: date | None) -> AsyncIterator[bytes]:
    """The lines of a file that `arkwright audit verify` takes. Raises NotFound; InvalidInput when nothing is sealed."""
    if since is not None and until is not None and until <= since:
        raise InvalidInput("until is not after since: there is nothing between them", param="until")
    await seal_now(platform)
    async with platform.reading() as connection:
        owner = (await organizations.get(connection, organization)).id
        found = await store.roots(connection, since=since, until=until, limit=_EXPORTED_ROOTS_MAX + 1)
        # An organization has a part in every root since it is there.
        while found and owner not in await store.parts(connection, found[0].number):
            del found[0]
    if not found:
        raise InvalidInput("nothing of this organization is sealed in that period: it has no roots", param="since")
    if len(found) > _EXPORTED_ROOTS_MAX:
        raise InvalidInput(f"more than {_EXPORTED_ROOTS_MAX} roots; narrow the period", param="since")
    return _lines(platform, owner, found)


async def posted(platform: Platform, organization: str, first: int, last: int) -> dict[str, str]:
    """What the ledger earned of a customer by model calls under these roots, in pico: what an export must add up to."""
    async with platform.reading() as connection:
        owner = await organizations.get(connection, organization)
        sums = await statements.proved_sums(connection, owner.id, first, last)
    return {currency: str(pico) for currency, pico in sums.items()}


async def _lines(platform: Platform, owner: str, roots: Sequence[StoredRoot]) -> AsyncIterator[bytes]:
    first, last = roots[0].day.isoformat(), roots[-1].day.isoformat()
    yield canonical(ExportHead(owner, first, last, roots[-1].public_key)) + b"\n"
    rows, amounts = 0, dict[str, int]()
    for root in roots:
        async with platform.reading() as connection:
            parts = await store.parts(connection, root.number)
        if owner not in parts:
            raise InternalError(f"root {root.number} has no part of {owner}: somebody took it away")
        part = rules.decode_part(parts[owner])
        yield canonical(_root_line(root, part, parts)) + b"\n"
        async for lines in _row_lines(platform, root, part):
            yield lines
        rows += part.rows
        for currency, pico in part.amount_pico.items():
            amounts[currency] = amounts.get(currency, 0) + int(pico)
    written = {currency: str(pico) for currency, pico in amounts.items()}
    yield canonical(ExportEnd(len(roots), rows, written)) + b"\n"


def _root_line(root: StoredRoot, part: Part, parts: dict[str, bytes]) -> ExportRoot:
    leaves = rules.in_order(list(parts.values()))
    tree = merkle.Tree(leaves)
    turns = tree.turns(leaves.index(rules.leaf_of(part)))
    signed = rules.decode_root(root.content)
    if tree.root.hex() != signed.tree:
        raise InternalError(f"the parts of root {root.number} are no longer those that were signed")
    return ExportRoot(signed, root.signature.hex(), part, tuple((side, digest.hex()) for side, digest in turns))


async def _row_lines(platform: Platform, root: StoredRoot, part: Part) -> AsyncIterator[bytes]:
    """Read twice: once for the tree, once for the lines; so that a large part is never in memory."""
    asked = exports.Period(part.organization_id, Place(root.after_position + 1), Place(root.upto_position + 1))
    leaves: list[bytes] = []
    async for page in exports.events(platform, asked):
        leaves += await asyncio.to_thread(_leaves, page)
    tree = merkle.Tree(leaves)
    if tree.root.hex() != part.root:
        raise InternalError(
            f"the charges of {part.organization_id} are no longer those that root {root.number} of {root.day} signed:"
            " `arkwright audit verify` names them"
        )
    index = 0
    async for page in exports.events(platform, asked):
        yield await asyncio.to_thread(_encoded, page, tree, index)
        index += len(page)


def _leaves(events: Sequence[UsageEvent]) -> list[bytes]:
    return [rules.leaf_of(rules.row_of(event)) for event in events]


def _encoded(events: Sequence[UsageEvent], tree: merkle.Tree, first: int) -> bytes:
    lines = []
    for index, event in enumerate(events, first):
        path = tuple(digest.hex() for digest in tree.path(index))
        lines.append(canonical(ExportRow(index, rules.row_of(event), path)) + b"\n")
    return b"".join(lines)


async def _next_day(platform: Platform, last: LastRoot) -> date | None:
    """The day that the next root is of; None before anything was charged."""
    if last.day is not None:
        return last.day + timedelta(days=1) if last.over else last.day
    async with platform.reading() as connection:
        return await store.first_day(connection)


async def _seal(platform: Platform, signer: Signer, last: LastRoot, day: date, *, over: bool) -> None:
    async with platform.reading() as connection:
        upto = await store.position_at_end(connection, day)
        there = await store.organizations(connection, day)
        heads = msgspec.json.encode(await store.journal_heads(connection))
    counted = await _count(platform, exports.Period(None, Place(last.upto_position + 1), Place(upto + 1)))
    for organization_id in there:
        counted.setdefault(organization_id, Counted())
    parts = {name: canonical(rows.part(name, os.urandom(_SALT_BYTES).hex())) for name, rows in counted.items()}
    root = Root(
        number=last.number + 1,
        day=day.isoformat(),
        over=over,
        tree=merkle.Tree(rules.in_order(list(parts.values()))).root.hex(),
        previous=last.hash,
        journals=sha256(heads).hexdigest(),
        sealed_us=now_us(),
    )
    signed = signer.sign(rules.signed_bytes(root)), signer.public
    async with platform.database.connection() as connection:
        # Another host may have been first: then its root stands, and the next turn goes on from there.
        await store.append(
            connection, root, parts, after=last, day=day, upto_position=upto, signed=signed, journals=heads
        )


async def _count(platform: Platform, asked: exports.Period) -> dict[str, Counted]:
    found: dict[str, Counted] = {}

    def add(events: Sequence[UsageEvent]) -> None:
        for event in events:
            found.setdefault(event.organization_id, Counted()).add(rules.row_of(event))

    async for page in exports.events(platform, asked):
        await asyncio.to_thread(add, page)  # Hashing a busy day takes minutes; the loop settles meanwhile.
    return found


def _shown(root: StoredRoot) -> RootView:
    signed = rules.decode_root(root.content)
    return RootView(
        number=root.number,
        day=root.day.isoformat(),
        over=root.over,
        tree=signed.tree,
        previous=signed.previous,
        hash=root.hash.hex(),
        signature=root.signature.hex(),
        key=root.public_key,
        sealed_at=root.sealed_at,
    )

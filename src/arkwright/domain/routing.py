"""Which of several targets a request is sent to: the rules, and what they remember of each target.

Law: nothing here reads a clock or draws a number by itself, and every memory is bounded. A choice weighs a few targets,
however many a fleet has. What is estimated decides an order only, never a bill.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from math import log
from typing import NamedTuple, Protocol

from arkwright.domain.breaker import POLICY, Breaker, Policy
from arkwright.domain.catalog import Target

# Bytes of each block of a conversation: fine where most conversations end, coarse where only long ones come.
BLOCKS = (512,) * 64 + (4096,) * 64 + (32_768,) * 64
BLOCKS_REMEMBERED = 4096  # Of one target: half a million tokens.
ALL_BLOCKS_REMEMBERED = 131_072  # Of all targets together, each having the same part of it.
OWNERS_REMEMBERED = 65_536
MATCH_PERCENT_MIN = 10  # Of a conversation, before the target that has it is looked at.
BYTES_PER_TOKEN = 4
OUTPUT_TOKENS_DEFAULT = 256  # Until a target has told how long its answers are.
TRIES_MAX = 8  # Targets in one order.
PACE_KNOWN_US = 10_000_000  # How long a target that is not heard of is held to its pace.


class Chance(Protocol):
    """What draws: a `random.Random`."""

    def getrandbits(self, k: int) -> int: ...

    def sample(self, population: Sequence[Target], k: int) -> list[Target]: ...


class Ideas(NamedTuple):
    """What goes into a choice, so that each part can be measured alone; see docs/guides/routing.md."""

    drawn: int = 4  # Two are what books say; four were better in every load, and cost a microsecond more.
    affinity: bool = True
    paced: bool = True


class Standing:
    """What is under way at one target, and how quick it was of late. Means decay; they are 0 until known."""

    __slots__ = ("breaker", "heard_us", "inter_token_us", "output_tokens", "requests", "tokens", "ttft_us", "url")

    def __init__(self, url: str = "", policy: Policy = POLICY) -> None:
        self.url = url  # Another one is another process, whatever the name.
        self.breaker = Breaker(policy)
        self.requests = 0
        self.tokens = 0  # What is still to be read and written.
        self.heard_us = 0  # When it last answered anything.
        self.ttft_us = 0
        self.inter_token_us = 0
        self.output_tokens = 0


def smoothed(mean: int, seen: int) -> int:
    """The mean after one more value, which counts for an eighth."""
    return seen if mean == 0 else mean + (seen - mean) // 8


class Affinity:
    """What is known of one request before it is sent. Nothing is hashed before somebody asks."""

    __slots__ = ("_blocks", "_conversation", "input_tokens", "output_tokens_max", "session")

    def __init__(
        self,
        conversation: bytes | memoryview = b"",
        input_tokens: int = 0,
        output_tokens_max: int | None = None,
        session: bytes = b"",
    ) -> None:
        self._conversation = conversation
        self._blocks: list[int] | None = None
        self.input_tokens = input_tokens
        self.output_tokens_max = output_tokens_max
        self.session = session

    @property
    def hashed(self) -> bool:
        """Whether anybody asked for its blocks."""
        return self._blocks is not None

    @property
    def blocks(self) -> list[int]:
        if self._blocks is None:
            self._blocks = blocks(self._conversation)
        return self._blocks

    def matched_tokens(self, count: int) -> int:
        """Of the input, when a target has so many blocks."""
        if not count:
            return 0
        return self.input_tokens * sum(BLOCKS[:count]) // max(1, len(self._conversation))

    def output_tokens(self, standing: Standing) -> int:
        expected = standing.output_tokens or OUTPUT_TOKENS_DEFAULT
        limit = self.output_tokens_max
        return expected if limit is None or limit > expected else limit


def blocks(conversation: bytes | memoryview) -> list[int]:
    """A hash for each whole block; each covers everything before it too. Equal only within this process."""
    view, hashes, at, last = memoryview(conversation).toreadonly(), [], 0, 0
    for size in BLOCKS:
        if at + size > len(view):
            break
        last = hash((last, hash(view[at : at + size])))
        hashes.append(last)
        at += size
    return hashes


class Prefixes:
    """What each target was shown lately, and so may still have in its cache."""

    def __init__(self, remembered: int = BLOCKS_REMEMBERED, owners: int = OWNERS_REMEMBERED) -> None:
        self._remembered = remembered
        self._owners_max = owners
        self._shown: dict[str, OrderedDict[int, None]] = {}
        self._owners: OrderedDict[int, str] = OrderedDict()

    def match(self, target_id: str, hashes: Sequence[int]) -> int:
        """How many leading blocks a target was shown. A block is forgotten after those that follow it: so bisect."""
        shown = self._shown.get(target_id)
        if not shown:
            return 0
        low, high = 0, len(hashes)
        while low < high:
            middle = (low + high) // 2
            if hashes[middle] in shown:
                low = middle + 1
            else:
                high = middle
        return low

    def owner(self, hashes: Sequence[int]) -> str | None:
        """Who was shown the longest part of this last."""
        for one in reversed(hashes):
            if (found := self._owners.get(one)) is not None:
                return found
        return None

    def show(self, target_id: str, hashes: Sequence[int]) -> None:
        shown = self._shown.setdefault(target_id, OrderedDict())
        for one in reversed(hashes):  # The first block last: it is the last to be forgotten.
            shown[one] = None
            shown.move_to_end(one)
            self._owners[one] = target_id
            self._owners.move_to_end(one)
        most = min(self._remembered, ALL_BLOCKS_REMEMBERED // len(self._shown) + 1)
        while len(shown) > most:
            shown.popitem(last=False)
        while len(self._owners) > self._owners_max:
            self._owners.popitem(last=False)

    def forget(self, target_id: str) -> None:
        """Its cache is gone."""
        for one in self._shown.pop(target_id, ()):
            if self._owners.get(one) == target_id:
                del self._owners[one]


class Outlook(NamedTuple):
    """What a choice is made by: what is under way, what was shown where, and chance."""

    standings: Mapping[str, Standing]
    prefixes: Prefixes
    random: Chance
    ideas: Ideas = Ideas()


def order(targets: Sequence[Target], affinity: Affinity, outlook: Outlook, now_us: int) -> list[Target]:
    """The order in which to ask: the best of a few drawn by chance and of who knows the conversation; then others."""
    if len(targets) < 2:
        return list(targets)
    drawn = _drawn(targets, outlook)
    known = _owner(targets, affinity, outlook) if outlook.ideas.affinity else None
    if known is not None and all(known is not target for target in drawn):
        drawn.append(known)
    paces = _paces(drawn, outlook, now_us)
    costs = [_tokens(target, affinity, outlook) * pace for target, pace in zip(drawn, paces, strict=True)]
    ranked = [drawn[index] for index in sorted(range(len(drawn)), key=costs.__getitem__)]
    if len(ranked) < min(len(targets), TRIES_MAX):
        ranked += _others(targets, ranked, outlook.random)
    return ranked


def _drawn(targets: Sequence[Target], outlook: Outlook) -> list[Target]:
    count = len(targets)
    if count > outlook.ideas.drawn:
        return outlook.random.sample(targets, outlook.ideas.drawn)
    start = outlook.random.getrandbits(32) % count  # So that chance decides between equals.
    return [*targets[start:], *targets[:start]]


def _others(targets: Sequence[Target], ranked: list[Target], random: Chance) -> list[Target]:
    """More to try, should the first fail: from a place drawn by chance on."""
    start = random.getrandbits(32) % len(targets)
    named = {target.id for target in ranked}
    turned = (targets[(start + step) % len(targets)] for step in range(len(targets)))
    return list(islice((target for target in turned if target.id not in named), TRIES_MAX - len(ranked)))


def _owner(targets: Sequence[Target], affinity: Affinity, outlook: Outlook) -> Target | None:
    """Who was shown enough of this conversation."""
    hashes = affinity.blocks
    owner = outlook.prefixes.owner(hashes)
    if owner is None:
        return None
    matched = affinity.matched_tokens(outlook.prefixes.match(owner, hashes))
    if matched * 100 < affinity.input_tokens * MATCH_PERCENT_MIN:
        return None
    return next((target for target in targets if target.id == owner), None)


def _tokens(target: Target, affinity: Affinity, outlook: Outlook) -> int:
    """What a request waits for at a target: the tokens under way there, and those it brings.

    So affinity is dropped where load is uneven: as soon as an owner has more under way than its cache would save.
    """
    tokens = outlook.standings[target.id].tokens + affinity.input_tokens
    if outlook.ideas.affinity:
        tokens -= affinity.matched_tokens(outlook.prefixes.match(target.id, affinity.blocks))
    return tokens


def _paces(drawn: Sequence[Target], outlook: Outlook, now_us: int) -> list[int]:
    """How long each takes for a token. Who was not heard of lately is taken to be like the others, and so found out."""
    if not outlook.ideas.paced:
        return [1] * len(drawn)
    standings = [outlook.standings[target.id] for target in drawn]
    known = [one.inter_token_us if now_us - one.heard_us < PACE_KNOWN_US else 0 for one in standings]
    typical = sum(known) // max(1, sum(1 for pace in known if pace)) or 1
    return [pace or typical for pace in known]


def asked(target: Target) -> tuple[str, str]:
    """What tells two targets of a route apart: a provider may be asked for two of its models."""
    return target.id, target.upstream_model


def by_session(targets: Sequence[Target], session: bytes, weights: Mapping[tuple[str, str], int]) -> list[Target]:
    """Rendezvous hashing: the same order in every process, and a target that leaves moves its own sessions only."""

    def rank(target: Target) -> float:
        drawn = blake2b("/".join(asked(target)).encode(), digest_size=8, key=session[:64]).digest()
        return -log((int.from_bytes(drawn) + 1) / 2**64) / weights.get(asked(target), 1)

    return sorted(targets, key=rank)

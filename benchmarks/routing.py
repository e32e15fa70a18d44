"""`python -m benchmarks.routing [--requests N] [--seeds S]`: a simulated fleet under each idea of routing.

A replica has slots, reads prompts one after the other (but for what its cache has), and writes slower the more it
writes at once. Time is simulated, so the figures are the same on every machine; the rules are those of
`domain/routing.py`, not a copy. Clients are closed: each asks, waits for the answer, thinks, and asks again.
"""

import argparse
import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from arkwright.domain.catalog import Target
from arkwright.domain.routing import BYTES_PER_TOKEN, Affinity, Ideas, Outlook, Prefixes, Standing, order, smoothed
from benchmarks.table import table

REPLICAS = 8
SLOTS = 8
PREFILL_US_PER_TOKEN = 250  # 4,000 tokens a second.
TOKEN_US = 20_000  # One token of one stream, alone; twice that when all slots write.
CACHE_BLOCKS = 384  # Of 64 tokens: 24,576 tokens.
BLOCK_TOKENS = 64
SLOW_FACTOR = 3  # How much slower the slow replica is.

TARGETS = [Target(f"r{index}", "fleet", "", "m") for index in range(REPLICAS)]


class Load(NamedTuple):
    """`shared`: system prompts that requests begin with, of so many tokens. `turns`: of a conversation."""

    name: str
    clients: int
    think_us: int
    input_tokens: int
    output_tokens: int
    shared: int = 0
    shared_tokens: int = 0
    skewed: bool = False
    turns: int = 1
    slow: bool = False
    workers: int = 1


LOADS = (
    Load("no prefix", 48, 1_000_000, 1200, 120),
    Load("no prefix, sizes skewed", 48, 1_000_000, 1200, 120, skewed=True),
    Load("no prefix, a slow replica", 48, 1_000_000, 1200, 120, slow=True),
    Load("shared prefixes, even", 64, 1_000_000, 150, 120, shared=40, shared_tokens=3000),
    Load("one hot prefix", 64, 1_000_000, 150, 120, shared=1, shared_tokens=3000),
    Load("shared prefixes, skewed", 64, 1_000_000, 150, 120, shared=40, shared_tokens=3000, skewed=True),
    Load("shared prefixes, skewed, 4 workers", 64, 1_000_000, 150, 120, 40, 3000, skewed=True, workers=4),
    Load("conversations", 64, 2_000_000, 400, 120, shared=4, shared_tokens=500, turns=8),
    Load("conversations, a slow replica", 64, 2_000_000, 400, 120, shared=4, shared_tokens=500, turns=8, slow=True),
    Load("conversations, 4 workers", 64, 2_000_000, 400, 120, shared=4, shared_tokens=500, turns=8, workers=4),
)


class Request:
    """One request of a client, and what the fleet made of it."""

    __slots__ = (
        "affinity",
        "client",
        "first_us",
        "output_tokens",
        "prompt",
        "replica",
        "sent_us",
        "tokens",
        "unread",
        "words",
    )

    def __init__(self, client: "Client", words: bytes, prompt: list[int], output_tokens: int, now_us: int) -> None:
        self.client = client
        self.words = words
        self.prompt = prompt  # Hashes of its blocks, as a cache knows them.
        self.output_tokens = output_tokens
        self.sent_us = now_us
        self.first_us = 0
        self.replica: Replica
        self.affinity = Affinity(words, len(words) // BYTES_PER_TOKEN, 512)
        self.tokens = self.unread = 0  # As the gateway counts them.


class Client:
    """Asks along its load; in a conversation all that was said goes along."""

    def __init__(self, load: Load, random: Random, prefixes: Sequence[bytes]) -> None:
        self._load = load
        self._random = random
        self._prefixes = prefixes
        self.said = b""
        self._turn = 0
        self.view: View

    def ask(self, now_us: int) -> Request:
        load, random = self._load, self._random
        if self._turn == 0:
            self.said = self._prefix()
        self._turn = (self._turn + 1) % load.turns
        self.said += random.randbytes(self._size(load.input_tokens) * BYTES_PER_TOKEN)
        return Request(self, self.said, cached_blocks(self.said), self._size(load.output_tokens), now_us)

    def hear(self, request: Request) -> None:
        self.said += self._random.randbytes(request.output_tokens * BYTES_PER_TOKEN)

    def thinks_us(self) -> int:
        return int(self._random.expovariate(1) * self._load.think_us)

    def _prefix(self) -> bytes:
        if not self._prefixes:
            return b""
        if not self._load.skewed:
            return self._random.choice(self._prefixes)
        ranks = len(self._prefixes)
        return self._random.choices(self._prefixes, [1 / (rank + 1) for rank in range(ranks)])[0]

    def _size(self, mean: int) -> int:
        if self._load.skewed and not self._prefixes:  # Most are short, a few are very long.
            return max(8, min(int(self._random.paretovariate(1.3) * mean / 4.3), 16 * mean))
        return max(8, int(self._random.uniform(0.5, 1.5) * mean))


def cached_blocks(words: bytes) -> list[int]:
    """As an engine's cache knows a prompt: chained hashes of blocks of tokens."""
    size, last, found = BLOCK_TOKENS * BYTES_PER_TOKEN, 0, []
    for at in range(0, len(words) - size + 1, size):
        last = hash((last, words[at : at + size]))
        found.append(last)
    return found


class Replica:
    """A simulated engine: slots, one prompt read at a time, a cache of blocks that forgets the eldest first."""

    def __init__(self, number: int, slow: bool) -> None:
        self.number = number
        self.factor = SLOW_FACTOR if slow else 1
        self.waiting: deque[Request] = deque()
        self.reading: Request | None = None
        self.busy = 0  # Slots taken.
        self.outstanding = 0
        self._cache: OrderedDict[int, None] = OrderedDict()

    def missing_tokens(self, request: Request) -> int:
        hit = 0
        for block in request.prompt:
            if block not in self._cache:
                break
            hit += 1
        return max(16, len(request.words) // BYTES_PER_TOKEN - hit * BLOCK_TOKENS)

    def keep(self, hashes: list[int]) -> None:
        for block in reversed(hashes):
            self._cache[block] = None
            self._cache.move_to_end(block)
        while len(self._cache) > CACHE_BLOCKS:
            self._cache.popitem(last=False)

    def token_us(self) -> int:
        return self.factor * (TOKEN_US + TOKEN_US * self.busy // SLOTS)


class Figures:
    """What one run showed."""

    def __init__(self) -> None:
        self.ttfts_us: list[int] = []
        self.tokens = 0
        self.prompt_tokens = 0
        self.read_tokens = 0
        self.ended_us = 0
        self.unevenness: list[float] = []

    def percentile_ms(self, percent: int) -> float:
        ranked = sorted(self.ttfts_us)
        return ranked[min(len(ranked) - 1, len(ranked) * percent // 100)] / 1000

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / (self.ended_us / 1e6)

    @property
    def hit_percent(self) -> float:
        return 100 * (1 - self.read_tokens / self.prompt_tokens)


class View:
    """What one gateway worker knows."""

    def __init__(self, random: Random, ideas: Ideas) -> None:
        self.standings = {target.id: Standing() for target in TARGETS}
        self.random = random
        self.outlook = Outlook(self.standings, Prefixes(), random, ideas)
        self.turn = 0


Choose = Callable[[Request, View], int]


class Simulation:
    """Events in order of time. Each client speaks to one worker, which sees its own clients only."""

    def __init__(self, load: Load, choose: Choose, ideas: Ideas, seed: int) -> None:
        self._choose = choose
        self._events: list[tuple[int, int, str, Request | Client]] = []
        self._number = 0
        self.replicas = [Replica(number, load.slow and number == 0) for number in range(REPLICAS)]
        self._views = [View(Random(seed + number), ideas) for number in range(load.workers)]
        self.figures = Figures()

    def run(self, clients: Sequence[Client], requests: int) -> Figures:
        for number, client in enumerate(clients):
            client.view = self._views[number % len(self._views)]
            self._at(client.thinks_us(), "ask", client)
        sent, now_us = 0, 0
        while self._events:
            now_us, _, what, subject = heapq.heappop(self._events)
            if isinstance(subject, Client):
                if sent < requests:
                    sent += 1
                    self._send(subject.ask(now_us), now_us)
            elif what == "first":
                self._first(subject, now_us)
            else:
                self._end(subject, now_us)
        self.figures.ended_us = now_us
        return self.figures

    def _at(self, now_us: int, what: str, subject: "Request | Client") -> None:
        self._number += 1
        heapq.heappush(self._events, (now_us, self._number, what, subject))

    def _send(self, request: Request, now_us: int) -> None:
        affinity, view = request.affinity, request.client.view
        number = self._choose(request, view)
        request.replica = replica = self.replicas[number]
        standing = view.standings[TARGETS[number].id]
        matched = view.outlook.prefixes.match(TARGETS[number].id, affinity.blocks)
        request.unread = affinity.input_tokens
        if view.outlook.ideas.affinity:
            request.unread -= affinity.matched_tokens(matched)
        request.tokens = request.unread + affinity.output_tokens(standing)
        standing.requests += 1
        standing.tokens += request.tokens
        view.outlook.prefixes.show(TARGETS[number].id, affinity.blocks)
        replica.outstanding += 1
        replica.waiting.append(request)
        loads = [one.outstanding for one in self.replicas]
        self.figures.unevenness.append(max(loads) * len(loads) / sum(loads))
        self._read(replica, now_us)

    def _read(self, replica: Replica, now_us: int) -> None:
        """Take the next prompt, when nobody's is being read and a slot is free."""
        if replica.reading is not None or not replica.waiting or replica.busy >= SLOTS:
            return
        request = replica.reading = replica.waiting.popleft()
        replica.busy += 1
        missing = replica.missing_tokens(request)
        self.figures.prompt_tokens += len(request.words) // BYTES_PER_TOKEN
        self.figures.read_tokens += missing
        self._at(now_us + missing * PREFILL_US_PER_TOKEN * replica.factor, "first", request)

    def _first(self, request: Request, now_us: int) -> None:
        replica = request.replica
        replica.reading = None
        replica.keep(request.prompt)
        request.first_us = now_us
        standing = request.client.view.standings[TARGETS[replica.number].id]
        standing.heard_us = now_us
        standing.tokens -= request.unread
        request.tokens -= request.unread
        self.figures.ttfts_us.append(now_us - request.sent_us)
        self._at(now_us + request.output_tokens * replica.token_us(), "end", request)
        self._read(replica, now_us)

    def _end(self, request: Request, now_us: int) -> None:
        replica = request.replica
        standing = request.client.view.standings[TARGETS[replica.number].id]
        replica.busy -= 1
        replica.outstanding -= 1
        standing.heard_us = now_us
        standing.requests -= 1
        standing.tokens -= request.tokens
        standing.output_tokens = smoothed(standing.output_tokens, request.output_tokens)
        standing.inter_token_us = smoothed(
            standing.inter_token_us, (now_us - request.first_us) // request.output_tokens
        )
        self.figures.tokens += request.output_tokens
        request.client.hear(request)
        replica.keep(cached_blocks(request.client.said))
        self._at(now_us + request.client.thinks_us(), "ask", request.client)
        self._read(replica, now_us)


def by_chance(request: Request, view: View) -> int:
    return int(view.random.random() * REPLICAS)


def in_turn(request: Request, view: View) -> int:
    view.turn += 1
    return view.turn % REPLICAS


def least_loaded(request: Request, view: View) -> int:
    return min(range(REPLICAS), key=lambda number: view.standings[TARGETS[number].id].requests)


def by_rules(request: Request, view: View) -> int:
    return int(order(TARGETS, request.affinity, view.outlook, request.sent_us)[0].id[1:])


def by_owner(request: Request, view: View) -> int:
    """Who has a tenth of the conversation gets it, whatever else it has to do."""
    hashes, prefixes = request.affinity.blocks, view.outlook.prefixes
    owner = prefixes.owner(hashes)
    if owner is not None and prefixes.match(owner, hashes) * 10 >= len(hashes):
        return int(owner[1:])
    return by_rules(request, view)


def by_owner_guarded(request: Request, view: View) -> int:
    """The same, but for an owner with twice the mean of what is under way."""
    chosen = by_owner(request, view)
    loads = [standing.tokens for standing in view.standings.values()]
    mean = sum(loads) // len(loads)
    return chosen if view.standings[TARGETS[chosen].id].tokens <= 2 * mean + 2048 else by_rules(request, view)


POLICIES: tuple[tuple[str, Choose, Ideas], ...] = (
    ("least loaded", least_loaded, Ideas(affinity=False, paced=False)),
    ("random", by_chance, Ideas(affinity=False, paced=False)),
    ("round robin", in_turn, Ideas(affinity=False, paced=False)),
    ("best of 2 by tokens", by_rules, Ideas(2, affinity=False, paced=False)),
    ("best of 4 by tokens", by_rules, Ideas(affinity=False, paced=False)),
    ("+ pace", by_rules, Ideas(affinity=False)),
    ("prefix owner always", by_owner, Ideas(paced=False)),
    ("prefix owner + guard", by_owner_guarded, Ideas(paced=False)),
    ("best of 2 + prefix", by_rules, Ideas(2, paced=False)),
    ("best of 4 + prefix", by_rules, Ideas(paced=False)),
    ("best of 4 + prefix + pace", by_rules, Ideas()),
)


def simulate(load: Load, choose: Choose, ideas: Ideas, requests: int, seed: int) -> Figures:
    """Every idea meets the same clients, saying the same."""
    prefixes = [Random(f"{seed} {n}").randbytes(load.shared_tokens * BYTES_PER_TOKEN) for n in range(load.shared)]
    clients = [Client(load, Random(f"{seed} client {n}"), prefixes) for n in range(load.clients)]
    return Simulation(load, choose, ideas, seed).run(clients, requests)


def row(name: str, runs: Sequence[Figures]) -> tuple[str, ...]:
    """The means over the seeds."""

    def mean(of: Callable[[Figures], float], form: str = ".0f") -> str:
        return f"{sum(map(of, runs)) / len(runs):{form}}"

    return (
        name,
        mean(lambda seen: seen.percentile_ms(50)),
        mean(lambda seen: seen.percentile_ms(95)),
        mean(lambda seen: seen.tokens_per_s),
        mean(lambda seen: seen.hit_percent),
        mean(lambda seen: sum(seen.unevenness) / len(seen.unevenness), ".2f"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.routing", description=__doc__)
    parser.add_argument("--requests", type=int, default=1200)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    for load in LOADS:
        rows = []
        for name, choose, ideas in POLICIES:
            seeds = range(1, given.seeds + 1)
            rows.append(row(name, [simulate(load, choose, ideas, given.requests, seed) for seed in seeds]))
        print(f"\n**{load.name}**\n")
        print(table(("idea", "TTFT p50 ms", "p95 ms", "tokens/s", "cache hits %", "busiest ÷ mean"), rows))


if __name__ == "__main__":
    main()

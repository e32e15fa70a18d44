"""Limits: how much of what may pass in a minute, at once, in a day and in a month, and the arithmetic of windows.

A window counts what was admitted in each of the last `BUCKETS` clock seconds, the one that runs included, so an event
counts for 60 s at least and 61 s at most.
Law: what is admitted in any 60 seconds never exceeds the cap; the slack is on the other side, a second at most.
"""

from typing import Literal, get_args

import msgspec

Scope = Literal["organization", "project", "key", "endpoint", "model"]
SCOPES: tuple[str, ...] = get_args(Scope)
ENDPOINTS = ("chat.completions", "completions", "embeddings")  # As charges have them.

WINDOW_S = 60
# The second that runs is not over: with it, 60 whole ones before it are needed to cover any 60 s.
BUCKETS = WINDOW_S + 1
# Two windows in words, of requests and of tokens: the newest second they know, what each holds of the seconds before
# it, the buckets of each.
NEWEST, PAST, FIRST = 0, 1, 3
WINDOW_WORDS = FIRST + 2 * BUCKETS
What = Literal[0, 1]
REQUESTS: What = 0
TOKENS: What = 1

DAY_US = 86_400_000_000
# A word holds 9.2 billion units of a currency in nano (10^-9); in pico it would hold 9.2 million, too few of some.
PICO_PER_NANO = 1_000
BUDGET_MAX_PICO = 9_000_000_000 * 10**12
CAP_MAX = 10**15


class Limit(msgspec.Struct, frozen=True, omit_defaults=True):
    """One limit of an organization; a cap that is None does not limit. `name`: what people call what is limited.

    `subject`: the id of a project or key, the name of a model; for an endpoint its id (`ep-…`), or the name of an
    endpoint of the API (as charges have it). Empty for the organization itself. `row`: where a host counts it.
    """

    id: str
    organization_id: str
    row: int
    scope: Scope
    subject: str
    name: str
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    budget_daily_pico: int | None = None
    budget_monthly_pico: int | None = None

    def covers(self, project_id: str, key_id: str, endpoint: str, model: str, endpoint_id: str = "") -> bool:
        """Whether a request of the organization counts here; `endpoint_id`: of the one it called, if it called one."""
        if self.scope == "endpoint":
            return self.subject in (endpoint, endpoint_id)
        mine = {"project": project_id, "key": key_id, "model": model}
        return self.scope == "organization" or mine[self.scope] == self.subject


_NO_EVENTS = memoryview(bytes(8 * BUCKETS)).cast("q")


def slide(words: memoryview, at: int, second: int) -> None:
    """Bring the windows at `at` to this second. Never back: a second that has passed may still be counted in.

    The past is added up anew, so an update that a kill tore is mended within a second. A newest second that lies a
    whole window ahead is of another clock (the machine was started anew): nothing of it is of the last minute.
    """
    newest = words[at + NEWEST]
    gone = second - newest
    if -BUCKETS < gone <= 0:
        return
    for what in (REQUESTS, TOKENS):
        first = at + FIRST + what * BUCKETS
        if gone >= BUCKETS or gone < 0:
            words[first : first + BUCKETS] = _NO_EVENTS
        else:
            for passed in range(newest + 1, second + 1):
                words[first + passed % BUCKETS] = 0
        words[at + PAST + what] = sum(words[first : first + BUCKETS])
    words[at + NEWEST] = second


def correct(words: memoryview, at: int, what: What, second: int, change: int) -> None:
    """Add to (or take from) what was counted in that second, if the window still knows it."""
    newest = words[at + NEWEST]
    if not 0 <= newest - second < BUCKETS:
        return
    bucket, past = at + FIRST + what * BUCKETS + second % BUCKETS, at + PAST + what
    change = max(change, -words[bucket])
    if change > 0 and second != newest:  # The past first: a kill before the bucket leaves too much.
        words[past] += change
    words[bucket] += change
    if change < 0 and second != newest:
        words[past] = max(0, words[past] + change)


def held(words: memoryview, at: int, what: What) -> int:
    """What the window holds. It is slid."""
    return words[at + PAST + what] + words[at + FIRST + what * BUCKETS + words[at + NEWEST] % BUCKETS]


def counted(words: memoryview, at: int, what: What, second: int) -> int:
    """What the window holds at this second, without sliding it: for whoever only looks."""
    newest, first = words[at + NEWEST], at + FIRST + what * BUCKETS
    if not -BUCKETS < second - newest < BUCKETS:
        return 0
    known = range(max(newest - BUCKETS + 1, second - BUCKETS + 1), newest + 1)
    return sum(words[first + moment % BUCKETS] for moment in known)


def fits_in_ms(words: memoryview, at: int, what: What, wanted: tuple[int, int], now_ms: int) -> int:
    """How long until so many more fit under the cap, if nobody else comes: 0 when they do now. The window is slid.

    `wanted`: how many, and the cap; more than the cap alone fits in an empty window.
    """
    count, cap = wanted
    excess = held(words, at, what) + min(count, cap) - cap
    if excess <= 0:
        return 0
    newest, first = words[at + NEWEST], at + FIRST + what * BUCKETS
    for second in range(newest - BUCKETS + 1, newest + 1):
        excess -= words[first + second % BUCKETS]
        if excess <= 0:
            return max(0, (second + BUCKETS) * 1_000 - now_ms)
    return BUCKETS * 1_000


def empty_in_ms(words: memoryview, at: int, what: What, now_ms: int) -> int:
    """How long until the window is as if nothing had been, if nobody comes."""
    newest, first = words[at + NEWEST], at + FIRST + what * BUCKETS
    for second in range(newest, newest - BUCKETS, -1):
        if words[first + second % BUCKETS]:
            return max(0, (second + BUCKETS) * 1_000 - now_ms)
    return 0


def share(cap: int, hosts: int) -> int:
    """What one of several hosts enforces of a cap: so that all together never exceed it, but for caps below `hosts`."""
    return max(1, cap // hosts)


def nano(pico: int) -> int:
    """Rounded up: a budget counts too much by less than a nano a request, never too little."""
    return -(-pico // PICO_PER_NANO)


def day_of(at_us: int) -> int:
    """Days since 1970-01-01, UTC."""
    return at_us // DAY_US


def month_of(day: int) -> int:
    """Months since January of the year 0, of a day since 1970-01-01 (the civil calendar, counted from March)."""
    shifted = day + 719_468
    era, of_era = divmod(shifted, 146_097)
    year_of_era = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    day_of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    from_march = (5 * day_of_year + 2) // 153
    return (year_of_era + era * 400) * 12 + from_march + 2


def month_ends(day: int) -> int:
    """The first day of the month after this day's, both since 1970-01-01."""
    month, first = month_of(day), day
    while month_of(first) == month:
        first += 1
    return first

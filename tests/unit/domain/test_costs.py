"""A cost is the exact product of what is known, or a word for what is not."""

import pytest

from arkwright.domain import costs
from arkwright.domain.costs import Book, Cost, CostVersion, Tried, attempted, served
from arkwright.domain.journal import Attempt
from arkwright.domain.metering import ONLINE, Usage
from arkwright.domain.pricing import PriceVersion, Rule

RULES = (Rule("input", 3), Rule("output", 10, upto_input_tokens=100), Rule("output", 20, above_input_tokens=100))


def usage_version(id: str, at_us: int, rules: tuple[Rule, ...] = RULES, model: str = "m") -> CostVersion:
    return CostVersion(id, "ark", model, "CNY", at_us, PriceVersion(id, model, "CNY", at_us, rules))


BOOK = Book(
    [
        usage_version("late", 2_000, (Rule("input", 4), Rule("output", 11))),
        usage_version("first", 1_000),
        usage_version("narrow", 0, (Rule("input", 1),), "n"),
        CostVersion("hour", "own", "", "USD", 1_000, pico_per_hour=5),
        CostVersion("mine", "own", "special", "USD", 0, PriceVersion("mine", "special", "USD", 0, RULES)),
    ]
)


USED = Usage(5, output_tokens=2)


def tried(
    target: str, model: str, at_us: int, usage: Usage = USED, *, served: bool = True, unknown: bool = False
) -> Tried:
    return Tried(
        number=0, served=served, at_us=at_us, target=target, upstream_model=model, usage=usage, unknown=unknown
    )


@pytest.mark.parametrize(
    ("attempt", "cost"),
    [
        (tried("ark", "m", 1_000), Cost("rated", "first", "CNY", 35)),
        (tried("ark", "m", 1_999, Usage(101, output_tokens=2)), Cost("rated", "first", "CNY", 343)),
        (tried("ark", "m", 2_000), Cost("rated", "late", "CNY", 42)),
        (tried("ark", "m", 1_500, served=False), Cost("rated", "first", "CNY", 35)),
        (tried("ark", "m", 1_500, Usage()), Cost("rated", "first", "CNY", 0)),
        (tried("ark", "m", 999), Cost("unpriced")),  # Before any version.
        (tried("ark", "x", 1_500), Cost("unpriced")),  # Another model.
        (tried("elsewhere", "m", 1_500), Cost("unpriced")),
        (tried("ark", "n", 1_500), Cost("unpriced", "narrow")),  # It has no rule for output.
        (tried("ark", "m", 1_500, unknown=True), Cost("unknown")),
        (tried("elsewhere", "m", 1_500, unknown=True), Cost("unknown")),
        (tried("ark", "m", 1_500, Usage(), served=False), Cost("free", amount_pico=0)),
        (tried("own", "any", 1_000), Cost("machine", "hour")),
        (tried("own", "any", 1_000, unknown=True), Cost("machine", "hour")),
        (tried("own", "any", 999), Cost("unpriced")),
        (tried("own", "special", 1_000), Cost("rated", "mine", "USD", 35)),
    ],
)
def test_cost_of_an_attempt(attempt: Tried, cost: Cost) -> None:
    assert BOOK.cost(attempt) == cost


@pytest.mark.parametrize(
    ("finish", "source", "unknown"),
    [
        ("completed", "provider", False),
        ("completed", "estimated", False),
        ("disconnected", "provider", False),
        ("disconnected", "estimated", True),
        ("upstream_error", "estimated", True),
        ("upstream_error", "engine", True),
    ],
)
def test_what_broke_off_used_more_than_was_billed(finish: str, source: str, unknown: bool) -> None:
    attempt = served(
        number=1, at_us=1, target="t", upstream_model="m", usage=Usage(1), circumstances=ONLINE, finish=finish,
        usage_source=source,
    )  # fmt: skip
    assert attempt.unknown is unknown


def test_a_failed_attempt_is_rated_as_it_thought() -> None:
    attempt = attempted(0, Attempt("t", "m", 1, 2, 200, Usage(reasoning_tokens=3)))
    assert attempt.circumstances.thinking
    assert not attempt.served


def test_each_part_of_a_stream_that_was_gone_on_with_is_rated_by_what_it_used_itself() -> None:
    parts = [
        Attempt("t", "m", 1, 2, 503, outcome="refused"),
        Attempt("t", "m", 2, 3, 200, Usage(10, output_tokens=4), outcome="continued"),
        Attempt("t", "m", 3, 4, 200, Usage(14, output_tokens=6), outcome="served"),
    ]
    found = costs.tried(parts)
    assert [(one.number, one.served, one.at_us) for one in found] == [(0, False, 1), (1, False, 2), (2, True, 3)]
    assert sum((one.usage for one in found), Usage()) == Usage(24, output_tokens=10)


def test_the_revenue_stands_at_one_attempt_only() -> None:
    twice = [Attempt("t", "m", 1, 2, 200, Usage(1), outcome="served")] * 2
    assert [one.served for one in costs.tried(twice)] == [False, True]

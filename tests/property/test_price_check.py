"""The check of a price against brute force: every use there can be, one by one."""

from collections.abc import Iterator
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.domain.metering import Circumstances, Usage
from arkwright.domain.price_check import check
from arkwright.domain.pricing import (
    KINDS,
    ChargeItem,
    PriceVersion,
    Rule,
    Terms,
    Unpriced,
    Window,
    extents,
    matching,
    rate,
    total,
    worst_case,
)

EDGES = (0, 3, 7)
LENGTHS = (0, 1, 3, 4, 7, 8)
MODES = ("online", "batch")
TIERS = ("default", "fast", "a tier nobody names")
RESOLUTIONS = ("", "4k", "a resolution nobody names")
WINDOWS = {"night": Window(480, 30, 510), "noon": Window(0, 690, 750)}
HOURS = {"night": 60_000_000 * (20 * 60), "noon": 60_000_000 * 720, "": 60_000_000 * 900}
Point = tuple[tuple[int, int], Circumstances, str]

lengths = st.sampled_from([(0, 0), (0, 3), (3, 0), (3, 7), (7, 0), (0, 7)])


@st.composite
def rules(draw: st.DrawFn, items: tuple[ChargeItem, ...] = ("input", "cached_input", "output")) -> Rule:
    (above_in, upto_in), (above_out, upto_out) = draw(lengths), draw(lengths)
    some = st.integers(min_value=0, max_value=3)  # A condition is rare, or books would never be whole.
    return Rule(
        draw(st.sampled_from(items)),
        draw(st.integers(min_value=0, max_value=9)),
        above_input_tokens=above_in,
        upto_input_tokens=upto_in,
        above_output_tokens=above_out if draw(some) == 0 else 0,
        upto_output_tokens=upto_out if draw(some) == 0 else 0,
        mode="batch" if draw(some) == 0 else "",
        service_tier=draw(st.sampled_from(["default", "fast"])) if draw(some) == 0 else "",
        thinking=draw(st.booleans()) if draw(some) == 0 else None,
        resolution="4k" if draw(some) == 0 else "",
        window=draw(st.sampled_from(["night", "noon"])) if draw(some) == 0 else "",
    )


def _sound_ranges(rule: Rule) -> bool:
    return not (0 < rule.upto_output_tokens <= rule.above_output_tokens)


books = st.lists(rules().filter(_sound_ranges), min_size=1, max_size=6)
# Books that are likely to be whole: a price for everything, and some exceptions.
whole_books = books.map(lambda found: [Rule("input", 5), Rule("output", 6), *found])


def points() -> Iterator[Point]:
    for mode, tier, resolution, thinking in product(MODES, TIERS, RESOLUTIONS, (False, True)):
        circumstances = Circumstances(
            mode="batch" if mode == "batch" else "online", service_tier=tier, thinking=thinking, resolution=resolution
        )
        for both in product(LENGTHS, LENGTHS):
            for window in ("", *WINDOWS):
                yield both, circumstances, window


POINTS = list(points())


def ambiguous(price: PriceVersion) -> bool:
    """Whether some use has rules of which none is within all the others, or two that are the same."""
    for item in {rule.item for rule in price.rules}:
        for both, circumstances, window in POINTS:
            found = matching(price, item, both, circumstances, window)
            best = [rule for rule in found if all(rule.within(other) for other in found)]
            if found and len(best) != 1:
                return True
    return False


def chain(item: ChargeItem) -> list[ChargeItem]:
    fallback = KINDS[item].fallback
    return [item, *(chain(fallback) if fallback else [])]


def incomplete(price: PriceVersion) -> bool:
    """Whether an item that is priced in some circumstances is not at another length, hour, or way of thinking."""
    for item in {rule.item for rule in price.rules}:
        offered: set[tuple[str, str, str]] = set()
        missing: set[tuple[str, str, str]] = set()
        for both, circumstances, window in POINTS:
            offer = (circumstances.mode, circumstances.service_tier, circumstances.resolution)
            if matching(price, item, both, circumstances, window):
                offered.add(offer)
            if not any(matching(price, name, both, circumstances, window) for name in chain(item)):
                missing.add(offer)
        if offered & missing:
            return True
    return False


def unsold(price: PriceVersion) -> bool:
    ordinary = [(both, asked, window) for both, asked, window in POINTS if asked in ORDINARY]
    sold: tuple[ChargeItem, ...] = ("input", "output")
    return any(not matching(price, item, *point) for item in sold for point in ordinary)


ORDINARY = (Circumstances(), Circumstances(thinking=True))


@settings(max_examples=100, deadline=None)
@given(st.one_of(books, whole_books))
def test_it_finds_what_brute_force_finds_and_nothing_else(found: list[Rule]) -> None:
    price = PriceVersion("p", "m", "USD", 0, tuple(found), WINDOWS)
    troubles = [trouble.message for trouble in check(found, WINDOWS, "chat")]
    overlaps = [message for message in troubles if "priced twice" in message or "same use" in message]
    gaps = [message for message in troubles if "of kind chat" not in message and message not in overlaps]
    assert bool(overlaps) == ambiguous(price), troubles
    assert bool(gaps) == incomplete(price), troubles
    assert any("of kind chat" in message for message in troubles) == unsold(price), troubles


@settings(max_examples=200, deadline=None)
@given(
    whole_books,
    st.tuples(*[st.integers(min_value=0, max_value=9)] * 3),
    st.sampled_from(["", "night", "noon"]),
    st.booleans(),
    st.integers(min_value=0, max_value=10_000),
)
def test_what_it_lets_pass_is_rated_and_held_for(
    found: list[Rule], counts: tuple[int, int, int], window: str, thinking: bool, discount_bp: int
) -> None:
    if check(found, WINDOWS, "chat"):
        return
    terms = Terms(PriceVersion("p", "m", "USD", 0, tuple(found), WINDOWS), HOURS[window], discount_bp)
    usage = Usage(input_tokens=counts[0], cached_input_tokens=counts[1], output_tokens=counts[2])
    charged = total(rate(terms, usage, Circumstances(thinking=thinking)))
    assert charged <= worst_case(extents(terms), usage.all_input_tokens, usage.all_output_tokens)


@settings(max_examples=100, deadline=None)
@given(st.lists(rules(items=("image", "video_output", "tool_call")).filter(_sound_ranges), min_size=1, max_size=5))
def test_an_item_that_is_offered_is_never_left_without_a_price(found: list[Rule]) -> None:
    if check(found, WINDOWS):
        return
    price = PriceVersion("p", "m", "USD", 0, tuple(found), WINDOWS)
    offers = {(rule.mode or "online", rule.service_tier or "default", rule.resolution, rule.item) for rule in found}
    for mode, tier, resolution, item in offers:
        asked = Circumstances(
            mode="batch" if mode == "batch" else "online", service_tier=tier, resolution=resolution, thinking=True
        )
        for at_us in HOURS.values():
            try:
                rate(Terms(price, at_us), Usage(**{KINDS[item].counts: 5, "input_tokens": 0}), asked)
            except Unpriced as error:
                raise AssertionError(str(error)) from error


def test_hours_are_those_that_brute_force_says() -> None:
    price = PriceVersion("p", "m", "USD", 0, (Rule("input", 1),), WINDOWS)
    assert {name: price.window_at(at_us) for name, at_us in HOURS.items()} == {name: name for name in HOURS}

"""Whether a version of a price makes sense: each use has one price, and none is left without.

Refused are rules that both match a use while neither is within the other, lengths, hours or ways of thinking that a
price leaves out, hours that overlap or are not there, prices below zero, and a sold model whose items have no price.

Law: a version in which this finds nothing is rated without surprise: where a rule of an item matches, one of them is
within all the others; and where an item is priced at all, it is priced at every length, at every hour, thinking or not.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple, get_args

from arkwright.domain.metering import ONLINE, Mode
from arkwright.domain.pricing import KINDS, ChargeItem, Rule, Window

RULES_MAX = 400
WINDOWS_MAX = 24
_PIECES_MAX = 100_000  # Of the uses of an item, cut up by its rules; more is a book that no person could read either.
_DAY_MINUTES = 24 * 60
_NO_END = 0
_UNNAMED = "any that no rule names"

# What a model of a kind is sold by: each of these is priced online, whatever the length of the request.
SOLD: dict[str, tuple[ChargeItem, ...]] = {"chat": ("input", "output"), "embedding": ("input", "output")}


class Trouble(NamedTuple):
    """What is wrong; `rule` is the place of the rule at fault, `field` what of it. None: the version as a whole."""

    message: str
    rule: int | None = None
    field: str = ""


# A part of the space of uses: for each dimension, the values it holds, as bits.
_Box = tuple[int, ...]
_INPUT, _OUTPUT, _MODE, _TIER, _THINKING, _RESOLUTION, _WINDOW = range(7)


def check(rules: Sequence[Rule], windows: Mapping[str, Window], kind: str = "") -> list[Trouble]:
    """Everything that is wrong with it, in the order of the rules; `kind`: of the model that it is the price of."""
    if len(rules) > RULES_MAX:
        return [Trouble(f"a price has at most {RULES_MAX} rules; this has {len(rules)}")]
    found = _window_troubles(windows)
    for place, rule in enumerate(rules):
        found += _rule_troubles(place, rule, windows)
    if found:
        return found  # What follows would speak of hours and lengths that are none.
    try:
        return _overlaps(rules, windows) + _gaps(rules, windows) + _unsold(rules, windows, kind)
    except _TooIntricate:
        return [Trouble("the rules cut their uses into too many parts to be checked; use fewer conditions at once")]


def _window_troubles(windows: Mapping[str, Window]) -> list[Trouble]:
    found = []
    if len(windows) > WINDOWS_MAX:
        return [Trouble(f"a price has at most {WINDOWS_MAX} windows; this has {len(windows)}", field="windows")]
    taken: dict[int, str] = {}  # Minute of the day, UTC → the window that has it.
    for name, window in windows.items():
        minutes = _minutes(window)
        if not minutes:
            found.append(Trouble(f"window {name!r} ends when it begins", field=f"windows.{name}.to"))
        other = next((taken[minute] for minute in minutes if minute in taken), None)
        if other is not None:
            what = f"windows {other!r} and {name!r} overlap; a moment has one price"
            found.append(Trouble(what, field=f"windows.{name}.from"))
        taken |= dict.fromkeys(minutes, name)
    return found


def _minutes(window: Window) -> list[int]:
    """Of the day in UTC."""
    end = window.to_minute if window.from_minute <= window.to_minute else window.to_minute + _DAY_MINUTES
    return [(minute - window.utc_offset_minutes) % _DAY_MINUTES for minute in range(window.from_minute, end)]


def _rule_troubles(place: int, rule: Rule, windows: Mapping[str, Window]) -> list[Trouble]:
    found = []
    if rule.pico_per_unit < 0:
        found.append(Trouble("a price is zero or more", place, "price"))
    if rule.window and rule.window not in windows:
        there = f"there are {', '.join(windows)}" if windows else "there are none"
        found.append(Trouble(f"there is no window {rule.window!r}; {there}", place, "window"))
    for what in ("input", "output"):
        above, upto = getattr(rule, f"above_{what}_tokens"), getattr(rule, f"upto_{what}_tokens")
        if above < 0:
            found.append(Trouble("a length is zero or more", place, f"above_{what}_tokens"))
        elif upto != _NO_END and upto <= above:
            message = f"no length is above {above} and at most {upto}"
            found.append(Trouble(message, place, f"upto_{what}_tokens"))
    return found


class _TooIntricate(Exception):
    pass


class _Space:
    """All uses of one item, cut where its rules cut them: a box of it is a mask of bits for each dimension."""

    def __init__(self, rules: Sequence[Rule], windows: Mapping[str, Window]) -> None:
        self.inputs = _edges(rules, "input")
        self.outputs = _edges(rules, "output")
        self.modes: list[str] = list(get_args(Mode))
        self.tiers = _named((rule.service_tier for rule in rules), ONLINE.service_tier)
        self.thinking = [False, True]
        self.resolutions = _named((rule.resolution for rule in rules), ONLINE.resolution)
        covered = {minute for window in windows.values() for minute in _minutes(window)}
        self.windows = [*windows, *([""] if len(covered) < _DAY_MINUTES else [])]
        sizes = (self.inputs, self.outputs, self.modes, self.tiers, self.thinking, self.resolutions, self.windows)
        self.all: _Box = tuple((1 << len(values)) - 1 for values in sizes)
        self._cut = 0

    def box(self, rule: Rule) -> _Box:
        """Where the rule holds."""
        thinking = self.all[_THINKING] if rule.thinking is None else 1 << self.thinking.index(rule.thinking)
        return (
            _length_bits(self.inputs, rule.above_input_tokens, rule.upto_input_tokens),
            _length_bits(self.outputs, rule.above_output_tokens, rule.upto_output_tokens),
            _bit(self.modes, rule.mode) or self.all[_MODE],
            self.all[_TIER] if not rule.service_tier else _bit(self.tiers, rule.service_tier),
            thinking,
            self.all[_RESOLUTION] if not rule.resolution else _bit(self.resolutions, rule.resolution),
            self.all[_WINDOW] if not rule.window else _bit(self.windows, rule.window),
        )

    def offer(self, rule: Rule) -> _Box:
        """Whatever a customer may meet who is offered what this rule prices: each length and hour, thinking or not."""
        whole = list(self.all)
        for dimension in (_MODE, _TIER, _RESOLUTION):
            whole[dimension] = self.box(rule)[dimension]
        return tuple(whole)

    def ordinary(self) -> _Box:
        """Online, in the default tier, with no resolution named."""
        whole = list(self.all)
        whole[_MODE] = _bit(self.modes, ONLINE.mode)
        whole[_TIER] = _bit(self.tiers, ONLINE.service_tier)
        whole[_RESOLUTION] = _bit(self.resolutions, ONLINE.resolution)
        return tuple(whole)

    def uncovered(self, box: _Box, covers: Iterable[_Box]) -> _Box | None:
        """A part of the box that none of the others covers."""
        holes = [box]
        for cover in covers:
            holes = [piece for hole in holes for piece in _without(hole, cover)]
            self._cut += len(holes)
            if self._cut > _PIECES_MAX:
                raise _TooIntricate
        return holes[0] if holes else None

    def words(self, hole: _Box, within: _Box) -> str:
        """What is special about a part of a larger part."""
        said = []
        for dimension in range(len(hole)):
            if hole[dimension] != within[dimension]:
                said.append(self._said(dimension, hole[dimension]))
        return ", ".join(said) or "anything"

    def _said(self, dimension: int, bits: int) -> str:
        first = (bits & -bits).bit_length() - 1
        if dimension in (_INPUT, _OUTPUT):
            edges = self.inputs if dimension == _INPUT else self.outputs
            return _length_words("input" if dimension == _INPUT else "output", edges, bits)
        if dimension == _THINKING:
            return "thinking" if self.thinking[first] else "not thinking"
        if dimension == _WINDOW:
            return f"in the window {self.windows[first]}" if self.windows[first] else "outside all windows"
        values = {_MODE: self.modes, _TIER: self.tiers, _RESOLUTION: self.resolutions}[dimension]
        return values[first] or "without a resolution"


def _overlaps(rules: Sequence[Rule], windows: Mapping[str, Window]) -> list[Trouble]:
    """Uses that two rules match of which neither is within the other, and that no rule within both settles."""
    found = []
    for item in KINDS:
        places = [place for place, rule in enumerate(rules) if rule.item == item]
        mine = [rules[place] for place in places]
        space = _Space(mine, windows)
        boxes = [space.box(rule) for rule in mine]
        for earlier, later in combinations(range(len(mine)), 2):
            message = _clash(mine, boxes, space, later, earlier)
            if message:
                found.append(Trouble(f"{item} {message}", places[later], "item"))
    return found


def _clash(mine: list[Rule], boxes: list[_Box], space: _Space, later: int, earlier: int) -> str:
    """What is wrong with two rules of one item side by side; empty when nothing is."""
    rule, other = mine[later], mine[earlier]
    both = _common(boxes[later], boxes[earlier])
    inside, outside = rule.within(other), other.within(rule)
    if both is None or inside != outside:
        return ""
    if inside:
        return f"is priced twice {_under(rule)}"
    settled = [box for third, box in zip(mine, boxes, strict=True) if third.within(rule) and third.within(other)]
    hole = space.uncovered(both, settled)
    if hole is None:
        return ""
    return (
        f"has two prices for the same use ({space.words(hole, space.all)}): the one {_under(other)} and the one"
        f" {_under(rule)}; neither is within the other, so narrow one of them or add a rule for both conditions"
    )


def _gaps(rules: Sequence[Rule], windows: Mapping[str, Window]) -> list[Trouble]:
    """Uses without a price of an item that has one at another length or hour, or when thinking or not."""
    found = []
    for item in KINDS:
        mine = [(place, rule) for place, rule in enumerate(rules) if rule.item == item]
        chain = [rule for name in _chain(item) for rule in rules if rule.item == name]
        space = _Space(chain, windows)
        covers = [space.box(rule) for rule in chain]
        seen: set[_Box] = set()
        for place, rule in mine:
            offer = space.offer(rule)
            hole = None if offer in seen else space.uncovered(offer, covers)
            seen.add(offer)
            if hole is not None:
                found.append(Trouble(f"{item} has no price for {space.words(hole, offer)}", place, "item"))
                break  # One hole of an item is told at a time: mending it may mend the rest.
    return found


def _unsold(rules: Sequence[Rule], windows: Mapping[str, Window], kind: str) -> list[Trouble]:
    """Items that a model of this kind is sold by, and that the version has no price for."""
    found = []
    for item in SOLD.get(kind, ()):
        mine = [rule for rule in rules if rule.item == item]
        space = _Space(mine, windows)
        hole = space.uncovered(space.ordinary(), [space.box(rule) for rule in mine])
        if hole is not None:
            where = "the default tier online" if hole == space.ordinary() else space.words(hole, space.ordinary())
            hint = f" for {where}" if mine else '; write "0.00" if it is free'
            found.append(Trouble(f"{item} of a model of kind {kind} has no price{hint}"))
    return found


def _chain(item: ChargeItem) -> list[ChargeItem]:
    """The item, and those that price it where it has no rule."""
    names = [item]
    while (fallback := KINDS[names[-1]].fallback) is not None:
        names.append(fallback)
    return names


def _without(box: _Box, cover: _Box) -> list[_Box]:
    """The box less the cover, as boxes that share nothing."""
    common = _common(box, cover)
    if common is None:
        return [box]
    pieces, rest = [], list(box)
    for dimension, bits in enumerate(common):
        outside = rest[dimension] & ~bits
        if outside:
            pieces.append((*rest[:dimension], outside, *rest[dimension + 1 :]))
            rest[dimension] = bits
    return pieces


def _common(box: _Box, other: _Box) -> _Box | None:
    common = tuple(mine & theirs for mine, theirs in zip(box, other, strict=True))
    return common if all(common) else None


def _edges(rules: Sequence[Rule], what: str) -> list[int]:
    """Lengths at which something begins: a part is above its edge, up to the next; the first holds zero too."""
    found = {0}
    for rule in rules:
        found |= {getattr(rule, f"above_{what}_tokens"), getattr(rule, f"upto_{what}_tokens")}
    return sorted(found)


def _length_bits(edges: list[int], above: int, upto: int) -> int:
    last = len(edges) if upto == _NO_END else edges.index(upto)
    return (1 << last) - (1 << edges.index(above))


def _length_words(what: str, edges: list[int], bits: int) -> str:
    """The first stretch of lengths among them."""
    first = (bits & -bits).bit_length() - 1
    end = first
    while bits >> end & 1:
        end += 1
    above, upto = edges[first], edges[end] if end < len(edges) else _NO_END
    if upto == _NO_END:
        return f"{what} above {above} tokens"
    return f"{what} above {above} up to {upto} tokens" if above else f"{what} up to {upto} tokens"


def _named(values: Iterable[str], otherwise: str) -> list[str]:
    """The ordinary value, what rules name, and one that stands for all they do not name."""
    return [otherwise, *sorted({value for value in values if value and value != otherwise}), _UNNAMED]


def _bit(values: Sequence[str], value: str) -> int:
    return 1 << values.index(value) if value in values else 0


def _under(rule: Rule) -> str:
    return f"({rule.conditions})" if rule.conditions else "(without a condition)"

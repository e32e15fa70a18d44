"""When an alert goes out: a threshold on money is crossed, and was not told of since the value was last well away.

Law: at most once for each crossing. Who is beyond stays silent until the value has come back by a twentieth of the
threshold, or a new day or month begins; so a value that trembles at its threshold tells nobody twice. Reads no clock.
"""

from typing import Literal, get_args

import msgspec

AlertKind = Literal["balance", "spend_day", "spend_month", "forecast", "budget_day", "budget_month"]
KINDS: tuple[AlertKind, ...] = get_args(AlertKind)
SHARES: frozenset[AlertKind] = frozenset({"budget_day", "budget_month"})  # Their threshold is a share, not money.
OF_PLATFORM: frozenset[AlertKind] = frozenset({"spend_day", "spend_month", "forecast"})
WHOLE_BP = 10_000
SHARE_MAX_BP = 100 * WHOLE_BP
_BACK = 20  # A twentieth of the threshold.

FIRST_DELAY_S = 5.0
DELAY_MAX_S = 3_600.0
TRIES_MAX = 36  # A day and some hours, by the delays below.


class Reading(msgspec.Struct, frozen=True):
    """What an alert looks at. `period`: the day or month that it is of; empty for a balance."""

    value: int
    period: str = ""


class State(msgspec.Struct, frozen=True):
    """`crossings`: how many there were, ever: the number of the last one."""

    crossed: bool = False
    period: str = ""
    crossings: int = 0


def step(kind: AlertKind, threshold: int, before: State, reading: Reading) -> tuple[State, bool]:
    """The state after a reading, and whether this is a crossing to tell of."""
    crossed = before.crossed and before.period == reading.period
    if not crossed and beyond(kind, threshold, reading.value):
        return State(True, reading.period, before.crossings + 1), True
    if crossed and well_back(kind, threshold, reading.value):
        crossed = False
    return State(crossed, reading.period, before.crossings), False


def beyond(kind: AlertKind, threshold: int, value: int) -> bool:
    """A balance is, below its threshold; everything else, at it and above."""
    return value < threshold if kind == "balance" else value >= threshold


def well_back(kind: AlertKind, threshold: int, value: int) -> bool:
    margin = threshold // _BACK
    return value >= threshold + margin if kind == "balance" else value < threshold - margin


def delay_s(tries: int, chance: float) -> float:
    """Before the next try after so many; `chance` from 0 to 1 keeps receivers' tries out of step."""
    whole = min(FIRST_DELAY_S * 2.0 ** min(tries - 1, 20), DELAY_MAX_S)
    return whole * (0.5 + chance / 2)

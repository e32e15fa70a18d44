"""What changes between two prices: rules that come, go, or cost another amount.

Law: rules are told apart by what they price under which conditions, never by their place. A percentage is exact, or
says that it is not.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from arkwright.domain.pricing import Rule, Window

_DECIMALS_MAX = 12
_ROUNDED_DECIMALS = 4


class Changed(NamedTuple):
    old: Rule
    new: Rule


class Difference(NamedTuple):
    added: list[Rule]
    removed: list[Rule]
    changed: list[Changed]
    windows: list[str]  # Names of hours that come, go or move.

    @property
    def nothing(self) -> bool:
        return not (self.added or self.removed or self.changed or self.windows)


def difference(
    old: Iterable[Rule], new: Iterable[Rule], old_windows: Mapping[str, Window], new_windows: Mapping[str, Window]
) -> Difference:
    """Between two sound sets of rules, in the order of the new ones, then of the old ones."""
    before, after = {_free(rule): rule for rule in old}, {_free(rule): rule for rule in new}
    return Difference(
        [rule for key, rule in after.items() if key not in before],
        [rule for key, rule in before.items() if key not in after],
        [Changed(before[key], rule) for key, rule in after.items() if key in before and before[key] != rule],
        [name for name in {**old_windows, **new_windows} if old_windows.get(name) != new_windows.get(name)],
    )


def percent(old_pico: int, new_pico: int) -> str:
    """`+20`, `-12.5`; `≈+33.3333` where no decimal is exact; empty where there was no price to compare with."""
    if old_pico == 0:
        return ""
    change = (new_pico - old_pico) * 100
    sign = "-" if change < 0 else "+"
    for decimals in range(_DECIMALS_MAX + 1):
        whole, rest = divmod(abs(change) * 10**decimals, old_pico)
        if not rest:
            return f"{sign}{_decimal(whole, decimals)}"
    whole, rest = divmod(abs(change) * 10**_ROUNDED_DECIMALS, old_pico)
    whole += 2 * rest > old_pico or (2 * rest == old_pico and whole % 2 == 1)
    return f"≈{sign}{_decimal(whole, _ROUNDED_DECIMALS)}"


def _decimal(value: int, decimals: int) -> str:
    if not decimals:
        return str(value)
    whole, fraction = divmod(value, 10**decimals)
    return f"{whole}.{fraction:0{decimals}d}"


def _free(rule: Rule) -> Rule:
    """A rule's item and conditions: the rule as if it cost nothing."""
    return msgspec.structs.replace(rule, pico_per_unit=0)

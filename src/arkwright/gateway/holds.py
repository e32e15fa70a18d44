"""The money of one request under way: held a slice ahead of what it uses, for as long as there is some.

Only where the upstream can be stopped: what can't be is held at its worst from the start.
Law: what is covered is held; so whoever stops at what is covered owes nothing that was not held.
"""

from typing import Literal

from arkwright.gateway.lots import Cost
from arkwright.host.permits import Kind, Permit, Permits

SLICE_TOKENS = 64  # Output held at first, and then each time.
SLICE_TOKENS_MIN = 8  # Where there is not so much money: less than this is not worth beginning for.
AHEAD_TOKENS = 32  # More is held before fewer than this are left.


class Hold:
    """`covered`: how many tokens of output the hold pays for, of the `most` that may come."""

    def __init__(
        self,
        permits: Permits,
        permit: Permit,
        cost: Cost,
        *,
        input_tokens: int,
        covered: int,
        most: int,
        free_only: bool = False,
    ) -> None:
        self._permits = permits
        self._permit = permit
        self._cost = cost
        self._free_only = free_only
        self._input_tokens = input_tokens  # At most; exactly, once the engine has told.
        self._most = most
        self.covered = covered
        self.lacking: Kind | Literal["free tokens"] | None = (
            None  # What was in the way when the last slice was not to be had.
        )

    def cover(self, used: int, input_tokens: int | None) -> bool:
        """Hold on for this much output and a slice more; False when it can't even cover what was used.

        `input_tokens`: the engine's own count, where it is known.
        """
        if input_tokens is not None and input_tokens < self._input_tokens:
            self._input_tokens = input_tokens
        if used + AHEAD_TOKENS > self.covered and self.covered < self._most:
            self._extend(min(self._most, max(used, self.covered) + SLICE_TOKENS))
        return used <= self.covered or self.covered >= self._most

    @property
    def reason(self) -> str:
        if self.lacking == "free tokens":
            return "free_tokens_used_up"
        return "balance_exhausted" if self.lacking == "balance" else "budget_exhausted"

    @property
    def message(self) -> str:
        if self.lacking == "free tokens":
            return "The free tokens are used up: the answer ends where they did, since this organization does not pay."
        what = "balance" if self.lacking == "balance" else f"{self.lacking} budget"
        remedy = "Top up" if self.lacking == "balance" else "Have it raised"
        return f"The {what} is used up: the answer ends where the money did. {remedy} to get longer answers."

    def _extend(self, wanted: int) -> None:
        """To what is wanted, or as near to it as the money goes."""
        if self._extended(wanted):
            return
        least, refused = self.covered, wanted
        while refused - least > 1:
            middle = (least + refused) // 2
            if self._extended(middle):
                least = middle
            else:
                refused = middle

    def _extended(self, wanted: int) -> bool:
        cost_pico = self._cost(self._input_tokens, wanted)
        if cost_pico and self._free_only:
            self.lacking = "free tokens"
            return False
        more_pico = cost_pico - self._permit.cost_pico
        tokens = wanted - self.covered
        lacking = self._permits.extend(self._permit, cost_pico=max(0, more_pico), tokens=tokens)
        if lacking is not None:
            self.lacking = lacking
            return False
        self.covered = wanted
        return True

"""What was used: one vector of disjoint counts.

Law: the counts never overlap. A token read from a cache is in `cached_input_tokens` and nowhere else, whatever the
upstream's own convention was; the adapters in `wire` convert on the way in and on the way out.
"""

from typing import Literal

import msgspec

UsageSource = Literal["engine", "provider", "estimated"]

Finish = Literal["completed", "disconnected", "upstream_error"]


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counts of one request; every field is a number of tokens that no other field counts."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def __post_init__(self) -> None:
        if min(msgspec.structs.astuple(self)) < 0:
            raise ValueError(f"a usage count is below zero: {self}")

    @property
    def all_input_tokens(self) -> int:
        """Everything the model read: what a tier by input length looks at."""
        return self.input_tokens + self.cached_input_tokens + self.cache_write_tokens

    @property
    def all_output_tokens(self) -> int:
        return self.output_tokens + self.reasoning_tokens

    def __add__(self, other: "Usage") -> "Usage":
        mine, theirs = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Usage(*(a + b for a, b in zip(mine, theirs, strict=True)))

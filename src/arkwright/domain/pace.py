"""How fast and how reliable a model was: quantiles of first-token times from buckets, speed, availability.

Law: what was not measured is None, never zero. A quantile is the middle of the bucket that holds the value at the rank,
so it is off by half a bucket at most (4.5 %).
"""

from collections.abc import Mapping

import msgspec

BUCKETS_PER_OCTAVE = 8  # From a millisecond on; `store/queries/showcase.sql` counts by the same rule.
BUCKET_MAX = 143  # Two to the 18th milliseconds: four minutes.
_FIRST_US = 1_000


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of one model in one window. `failed`: came to nothing by our fault, or broke off."""

    served: int = 0
    failed: int = 0
    timed_tokens: int = 0
    timed_us: int = 0
    ttft_buckets: Mapping[int, int] = {}

    @property
    def availability_bp(self) -> int | None:
        """Served of all that should have been, in basis points, rounded down: 100 % means all of them."""
        asked = self.served + self.failed
        return self.served * 10_000 // asked if asked else None

    @property
    def tokens_per_1000_s(self) -> int | None:
        """Output after the first token."""
        return self.timed_tokens * 10**9 // self.timed_us if self.timed_us else None

    def ttft_us(self, percent: int) -> int | None:
        return quantile_us(self.ttft_buckets, percent)


def quantile_us(buckets: Mapping[int, int], percent: int) -> int | None:
    """At least so many percent of the values are in this bucket or below it; None without values."""
    rank = -(-sum(buckets.values()) * percent // 100)
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if rank and seen >= rank:
            return middle_us(bucket)
    return None


def middle_us(bucket: int) -> int:
    return round(_FIRST_US * 2 ** ((bucket + 0.5) / BUCKETS_PER_OCTAVE))

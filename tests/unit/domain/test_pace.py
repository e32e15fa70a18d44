"""How fast and how reliable: quantiles to half a bucket, nothing from nothing, and never rounded up to all."""

import math

import pytest

from arkwright.domain.pace import BUCKETS_PER_OCTAVE, Pace, middle_us, quantile_us


def bucket_of(us: int) -> int:
    """As the roll-up counts."""
    return max(0, math.floor(BUCKETS_PER_OCTAVE * math.log2(us / 1000)))


@pytest.mark.parametrize("us", [1_000, 1_090, 4_321, 250_000, 999_999, 60_000_000])
def test_a_value_is_found_again_to_half_a_bucket(us: int) -> None:
    assert abs(middle_us(bucket_of(us)) - us) / us <= 0.0454


def test_the_rank_is_the_nearest() -> None:
    buckets = {0: 1, 8: 18, 40: 1}
    assert quantile_us(buckets, 5) == middle_us(0)
    assert quantile_us(buckets, 50) == middle_us(8)
    assert quantile_us(buckets, 95) == middle_us(8)
    assert quantile_us(buckets, 96) == middle_us(40)


def test_nothing_measured_is_none() -> None:
    nothing = Pace()
    assert (nothing.availability_bp, nothing.tokens_per_1000_s, nothing.ttft_us(50)) == (None, None, None)


def test_all_but_one_is_not_all() -> None:
    assert Pace(served=99_999, failed=1).availability_bp == 9_999
    assert Pace(served=7).availability_bp == 10_000
    assert Pace(failed=7).availability_bp == 0


def test_speed_is_tokens_of_the_time_after_the_first() -> None:
    assert Pace(timed_tokens=99, timed_us=2_000_000).tokens_per_1000_s == 49_500

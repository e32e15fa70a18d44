"""The only place that reads the wall clock, so that `domain` and `wire` need not."""

import time
from datetime import UTC, datetime

MICROSECONDS = 1_000_000


def now_us() -> int:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1_000


def datetime_from_us(at_us: int) -> datetime:
    """Exact to the microsecond; integer arithmetic only."""
    seconds, microseconds = divmod(at_us, MICROSECONDS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)


def us_from_datetime(at: datetime) -> int:
    whole = int(at.replace(microsecond=0).timestamp())
    return whole * MICROSECONDS + at.microsecond

"""Hourly usage: what a batch of charges adds to each roll-up.

Law: a roll-up is the sum of its charges, to the last token and the last pico; an audit adds them up again in another
language and compares.
"""

from collections.abc import Iterable
from operator import attrgetter

from arkwright.domain.charges import Charge

HOUR_US = 3_600_000_000
# What an hour is kept apart by, and what is added up in it; `started_us` stands for its hour.
KEYS = (
    "organization_id", "started_us", "project_id", "key_id", "model", "target", "currency", "usage_source",
    "organization_class", "industry", "endpoint",
)  # fmt: skip
SUMS = (
    "requests", "input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
    "image_tokens", "audio_tokens", "video_tokens", "amount_pico", "plain_requests",
)  # fmt: skip

_payer_of, _rest_of = attrgetter(*KEYS[:1]), attrgetter(*KEYS[2:])
_counts_of = attrgetter(*SUMS[1:6])
_MODALITIES = ("image", "audio", "video")


def roll_up(charges: Iterable[Charge]) -> dict[tuple[str | int, ...], list[int]]:
    """KEYS → SUMS, in the order of the keys: two settlers that add to the same hours never wait for each other."""
    found: dict[tuple[str | int, ...], list[int]] = {}
    for charge in charges:
        key = (_payer_of(charge), charge.started_us // HOUR_US * HOUR_US, *_rest_of(charge))
        sums = found.get(key)
        if sums is None:
            sums = found[key] = [0] * len(SUMS)
        fresh, cached, written, output, reasoning = _counts_of(charge)
        sums[0] += 1
        sums[1] += fresh
        sums[2] += cached
        sums[3] += written
        sums[4] += output
        sums[5] += reasoning
        sums[9] += charge.amount_pico
        sums[10] += _plain(charge)
        if charge.other_counts:
            for at, modality in enumerate(_MODALITIES, 6):
                sums[at] += charge.other_counts.get(f"{modality}_input_tokens", 0)
                sums[at] += charge.other_counts.get(f"{modality}_output_tokens", 0)
    return dict(sorted(found.items()))


def _plain(charge: Charge) -> bool:
    """Whether the five counts say all that a price without conditions asks: none beside them, no discount, no cover."""
    if charge.other_counts or charge.draws:
        return False
    return not any("lot" in line or "discount_bp" in line for line in charge.lines)  # Left out at their defaults.

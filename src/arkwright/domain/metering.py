"""What was used: one vector of disjoint counts, and the circumstances that a price may look at.

Law: the counts never overlap. A token read from a cache is in `cached_input_tokens` and nowhere else, a token of an
image in `image_input_tokens` and nowhere else, whatever the upstream's own convention was; the adapters in `wire`
convert on the way in and on the way out.
"""

from operator import attrgetter
from typing import Literal

import msgspec

UsageSource = Literal["engine", "provider", "estimated"]

Finish = Literal["completed", "disconnected", "upstream_error", "balance_exhausted"]

Mode = Literal["online", "batch"]


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counts of one request; what one field counts, no other does. Input and output tokens without a name are text."""

    input_tokens: int = 0
    cached_input_tokens: int = 0  # Found in a cache that the upstream keeps of itself.
    cache_write_tokens: int = 0  # Written to a cache on demand, for its ordinary life (minutes).
    output_tokens: int = 0
    reasoning_tokens: int = 0
    explicit_cached_tokens: int = 0  # Found in a cache that the customer had written on demand.
    cache_write_1h_tokens: int = 0
    image_input_tokens: int = 0
    audio_input_tokens: int = 0
    video_input_tokens: int = 0
    image_output_tokens: int = 0
    audio_output_tokens: int = 0
    video_output_tokens: int = 0
    images: int = 0
    characters: int = 0
    audio_input_ms: int = 0
    audio_output_ms: int = 0
    video_output_ms: int = 0
    web_search_calls: int = 0
    file_search_calls: int = 0
    code_calls: int = 0
    tool_calls: int = 0  # Tools with a price of their own that none of the three above is.
    cache_storage_token_hours: int = 0  # Hours begun, as the trade settles them.

    def __post_init__(self) -> None:
        if min(msgspec.structs.astuple(self)) < 0:
            raise ValueError(f"a usage count is below zero: {self}")

    @property
    def all_input_tokens(self) -> int:
        """Everything the model read: what a tier by input length looks at."""
        return (
            self.input_tokens
            + self.cached_input_tokens
            + self.cache_write_tokens
            + self.explicit_cached_tokens
            + self.cache_write_1h_tokens
            + self.image_input_tokens
            + self.audio_input_tokens
            + self.video_input_tokens
        )

    @property
    def all_output_tokens(self) -> int:
        return (
            self.output_tokens
            + self.reasoning_tokens
            + self.image_output_tokens
            + self.audio_output_tokens
            + self.video_output_tokens
        )

    def __add__(self, other: "Usage") -> "Usage":
        mine, theirs = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Usage(*(a + b for a, b in zip(mine, theirs, strict=True)))


# The counts that every charge has a column for; the rest are rare, and stored by name.
TEXT_COUNTS = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
COUNTS = tuple(field.name for field in msgspec.structs.fields(Usage))
OTHER_COUNTS = COUNTS[len(TEXT_COUNTS) :]
_other_counts_of = attrgetter(*OTHER_COUNTS)


class Circumstances(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a price may depend on beside counts and the moment of admission."""

    mode: Mode = "online"
    service_tier: str = "default"
    thinking: bool = False
    resolution: str = ""  # As the trade writes it: 720p, 1080p, 4k, 1024x1024.


ONLINE = Circumstances()
THINKING = Circumstances(thinking=True)


def video_tokens(seconds_ms: int, width: int, height: int, frames_per_second: int) -> int:
    """As the trade counts them: seconds (read and made) × width × height × frames a second / 1024, rounded up."""
    return -(-seconds_ms * width * height * frames_per_second // (1024 * 1000))


def other_counts(usage: Usage) -> dict[str, int]:
    """The non-zero counts that have no column of their own."""
    counts = _other_counts_of(usage)
    if not any(counts):
        return {}
    return {name: count for name, count in zip(OTHER_COUNTS, counts, strict=True) if count}

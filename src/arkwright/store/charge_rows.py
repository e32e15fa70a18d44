"""Charges as lines of PostgreSQL's COPY: the fastest way in, and it is exact text all along.

Law: whatever text an upstream or a client chose, a line is one row, and each field comes out as it went in.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import attrgetter

import msgspec

from arkwright.domain.charges import Charge

# The columns of `copy_charges`, in its order: first those that are written as they are.
_plain_of = attrgetter(
    "event_id", "organization_id", "organization_class", "industry", "prepaid", "project_id", "key_id", "endpoint",
    "model", "target", "upstream_model", "upstream_request_id", "streamed", "status", "finish", "input_tokens",
    "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens", "usage_source", "currency",
    "price_version", "amount_pico", "uncollected_pico", "granted_pico", "queue_us", "incarnation",
    "sequence", "endpoint_id", "connect_us",
)  # fmt: skip
_FIELDS = 31 + 8
_row = "\t".join(["%s"] * _FIELDS)
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encoder = msgspec.json.Encoder()


def lines(numbered: Iterable[tuple[Charge, int]], together: int = 200) -> Iterator[str]:
    """Pieces of `together` lines each, of (charge, id of its transaction)."""
    piece = []
    for charge, transaction_id in numbered:
        piece.append(line(charge, transaction_id))
        if len(piece) == together:
            yield "".join(piece)
            piece.clear()
    yield "".join(piece)


def line(charge: Charge, transaction_id: int) -> str:
    fields = (
        *_plain_of(charge),
        _moment(charge.started_us),
        _moment(charge.ended_us),
        _json(charge.lines),
        _json(charge.other_counts) if charge.other_counts else "{}",
        _json(charge.circumstances) if charge.circumstances else "{}",
        _json(charge.draws) if charge.draws else "[]",
        _json(charge.attempts) if charge.attempts else "[]",
        transaction_id,
    )
    written: str = _row % fields
    if "\\" in written or "\n" in written or "\r" in written or written.count("\t") != _FIELDS - 1:
        written = "\t".join([str(field).translate(_ESCAPES) for field in fields])
    ttft = "\\N" if charge.ttft_us is None else charge.ttft_us
    return f"{written}\t{ttft}\n"


def _json(value: object) -> str:
    return _encoder.encode(value).decode()


def _moment(at_us: int) -> str:
    return f"{_second(at_us // 1_000_000)}.{at_us % 1_000_000:06}+00"


@lru_cache(maxsize=4096)
def _second(at_s: int) -> str:
    try:
        return (_EPOCH + timedelta(seconds=at_s)).strftime("%Y-%m-%d %H:%M:%S")
    except OverflowError:
        return f"no moment: {at_s}"  # PostgreSQL refuses the row, as it refuses all that it can't keep.

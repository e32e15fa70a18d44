"""Rate limits as OpenAI tells them: headers on every answer, and durations such as `1s`, `6m0s` or `12ms`."""

from arkwright.wire.http import Headers


def duration(ms: int) -> str:
    """Whole milliseconds under a second, then seconds with what they need of decimals, minutes, hours."""
    if ms < 1_000:
        return f"{ms}ms" if ms > 0 else "0s"
    minutes, rest_ms = divmod(ms, 60_000)
    seconds = f"{rest_ms // 1_000}.{rest_ms % 1_000:03d}".rstrip("0").rstrip(".")
    if not minutes:
        return f"{seconds}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s"


def headers(what: bytes, cap: int, left: int, reset_ms: int) -> Headers:
    """`what`: requests or tokens, as the tightest window of the minute has them."""
    return [
        (b"x-ratelimit-limit-" + what, b"%d" % cap),
        (b"x-ratelimit-remaining-" + what, b"%d" % left),
        (b"x-ratelimit-reset-" + what, duration(reset_ms).encode()),
    ]

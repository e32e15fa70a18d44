"""Rate limits as OpenAI tells them: headers on every answer, and durations such as `1s`, `6m0s` or `12ms`."""

from functools import lru_cache


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


def header_lines(requests: tuple[int, int, int], tokens: tuple[int, int, int]) -> bytes:
    """Of each the cap, what is left, and milliseconds until all of it is; a cap of 0: there is none, and no line."""
    if requests[0] and tokens[0]:  # As most callers have it, and this is said with every answer.
        return _BOTH % (
            requests[0], requests[1], _reset(requests[2]), tokens[0], tokens[1], _reset(tokens[2])
        )  # fmt: skip
    said = b""
    for lines, (cap, left, reset_ms) in ((_REQUESTS, requests), (_TOKENS, tokens)):
        if cap:
            said += lines % (cap, left, _reset(reset_ms))
    return said


_REQUESTS, _TOKENS = (
    b"x-ratelimit-limit-%b: %%d\r\nx-ratelimit-remaining-%b: %%d\r\nx-ratelimit-reset-%b: %%b\r\n" % (what, what, what)
    for what in (b"requests", b"tokens")
)
_BOTH = _REQUESTS + _TOKENS


@lru_cache(4096)
def _reset(ms: int) -> bytes:
    return duration(ms).encode()

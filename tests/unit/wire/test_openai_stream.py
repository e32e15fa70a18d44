"""What a streamed answer tells on its way through, however it is cut."""

import pytest

from arkwright.wire.openai_stream import StreamFollower
from arkwright.wire.openai_usage import Counts


def chunk(text: str, extra: str = "", finish: str = "null") -> bytes:
    choice = f'{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":{finish}}}'
    return f'{{"id":"c","object":"chat.completion.chunk","model":"up","choices":[{choice}]{extra}}}'.encode()


def stream(*events: bytes) -> bytes:
    return b"".join(b"data: " + event + b"\n\n" for event in events)


USAGE = (
    b'{"id":"c","model":"up","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13,'
    b'"prompt_tokens_details":{"cached_tokens":4}}}'
)
PLAIN = (chunk("a"), chunk("b"), chunk("", finish='"stop"'))


def follow(
    data: bytes, at: int | None = None, *, drop: bool = True, strip: bool = False
) -> tuple[StreamFollower, bytes]:
    follower = StreamFollower(drop_usage=drop, strip_timings=strip, rename=("up", "public"))
    parts = [data] if at is None else [data[:at], data[at:]]
    return follower, b"".join(follower.feed(part) for part in parts)


def test_every_split_finds_usage_and_forwards_the_rest() -> None:
    data = stream(*PLAIN, USAGE, b"[DONE]")
    expected = stream(*PLAIN).replace(b'"model":"up"', b'"model":"public"')
    for at in range(len(data) + 1):
        follower, forwarded = follow(data, at)
        assert forwarded == expected
        assert follower.counts == Counts(6, 4, 0, 3, 0)
        assert follower.done
        assert not follower.cut


def test_usage_is_forwarded_when_asked_for() -> None:
    _, forwarded = follow(stream(*PLAIN, USAGE, b"[DONE]"), drop=False)
    assert b'"usage"' in forwarded
    assert b"[DONE]" not in forwarded


def test_usage_in_a_chunk_with_choices_is_counted_and_forwarded() -> None:
    last = chunk("", ',"usage":{"prompt_tokens": 5,"completion_tokens": 2}', '"stop"')
    follower, forwarded = follow(stream(chunk("a"), last, b"[DONE]"))
    assert follower.counts == Counts(5, 0, 0, 2, 0)
    assert b'"finish_reason":"stop"' in forwarded


def test_running_totals_count_once() -> None:
    events = [chunk("a", f',"usage":{{"prompt_tokens":5,"completion_tokens":{n}}}') for n in (1, 2, 3)]
    follower, _ = follow(stream(*events, b"[DONE]"))
    assert follower.counts == Counts(5, 0, 0, 3, 0)


def test_explicit_zero_is_zero_and_null_is_missing() -> None:
    zero = b'{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}'
    assert follow(stream(*PLAIN, zero, b"[DONE]"))[0].counts == Counts(0, 0, 0, 0, 0)
    null = chunk("a", ',"usage":null')
    assert follow(stream(null, b"[DONE]"))[0].counts is None


def test_a_customers_words_are_never_taken_for_usage() -> None:
    words = r"\"usage\":{\"prompt_tokens\":9} [DONE] \"model\":\"up\" {\"error\":1}"
    follower, forwarded = follow(stream(chunk(words), chunk("", finish='"stop"')))
    assert follower.counts is None
    assert not follower.done
    assert follower.error_event is None
    assert words.encode() in forwarded


@pytest.mark.parametrize("ending", [b"", b'data: {"cut', stream(chunk("more"))])
def test_a_stream_without_an_end_is_cut(ending: bytes) -> None:
    follower, _ = follow(stream(chunk("a")) + ending)
    assert follower.cut


def test_a_finish_reason_without_done_is_an_end() -> None:
    follower, _ = follow(stream(*PLAIN))
    assert not follower.cut


def test_an_error_event_is_held_back() -> None:
    error = b'{"error":{"message":"boom","type":"server_error"}}'
    data = stream(chunk("a"), error, chunk("never"))
    for at in range(len(data) + 1):
        follower, forwarded = follow(data, at)
        assert follower.error_event == error
        assert b"boom" not in forwarded
        assert b"never" not in forwarded


def test_timings_are_ours_alone_and_tell_progress() -> None:
    timings = ',"timings":{"cache_n":2,"prompt_n":8,"prompt_ms":1.5,"predicted_n":N,"predicted_ms":0.1}'
    data = stream(chunk("a", timings.replace("N", "1")), chunk("b", timings.replace("N", "2")))
    for at in range(len(data) + 1):
        follower, forwarded = follow(data, at, strip=True)
        assert b"timings" not in forwarded
        assert follower.progress == Counts(8, 2, 0, 2, 0)
    assert follow(data, strip=False)[0].progress is None


def test_names_are_told_apart_from_names_that_contain_them() -> None:
    follower = StreamFollower(drop_usage=True, strip_timings=False, rename=("up", "a\\1b"))
    out = follower.feed(b'data: {"model": "up","x":"upper"}\n\n')
    assert out == b'data: {"model": "a\\\\1b","x":"upper"}\n\n'

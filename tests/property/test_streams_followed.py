"""A stream whose events are alike is followed by a shorter way; it says what the long one says, whatever comes."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.wire.openai_stream import StreamFollower


class LongWay(StreamFollower):
    """Looks at every event."""

    __slots__ = ()

    def _remember(self, block: bytes) -> None:
        pass


words = st.one_of(
    st.sampled_from(
        [
            "a", "", " word", "\n\n", 'say "no"', "back\\slash", "[DONE]", '"usage": {', "error", '{"error":', "\u2028",
            '","finish_reason":"stop', '"model":"up"', "\\", "\x00", "\u00e9", "data: x", "event: error",
        ]
    ),
    st.text('ab"\\ :{}\n', max_size=6),
)  # fmt: skip
endings = st.sampled_from(["", "", "", ',"usage":{"prompt_tokens":3,"completion_tokens":2}', ',"usage":null', ',"x":1'])
# What an event may have between the beginning and the end of another that is plain.
within = st.sampled_from(
    ["", "", "", "", ',"usage":{"prompt_tokens":1,"completion_tokens":1},"k":"z"',
     '},"finish_reason":"stop"},{"index":1,"delta":{"content":"b"', ',"model":"up"']
)  # fmt: skip
finishes = st.sampled_from(["null", "null", "null", "null", '"stop"'])


@st.composite
def events(draw: st.DrawFn) -> bytes:
    kind = draw(st.integers(0, 30))
    if kind == 0:
        return b"data: [DONE]\n\n"
    if kind == 1:
        return b'data: {"error":{"message":"no"}}\n\n'
    if kind == 2:
        return b": a comment\n\n"
    if kind == 3:
        return b"event: error\ndata: {}\n\n"
    content = json.dumps(draw(words), ensure_ascii=draw(st.booleans()))
    content += draw(within)
    colon = draw(st.sampled_from([":", ":", ":", ": "]))
    choice = f'{{"index":0,"delta":{{"content"{colon}{content}}},"finish_reason":{draw(finishes)}}}'
    ending = draw(st.sampled_from(["\n\n", "\n\n", "\n\n", "\r\n\r\n"]))
    return f'data: {{"id":"c","model":"up","choices":[{choice}]{draw(endings)}}}{ending}'.encode()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(events(), max_size=12),
    st.lists(st.integers(1, 90), max_size=12),
    st.booleans(),
    st.sampled_from([None, ("up", "public"), ("up", 'with "quotes" \\1')]),
)
def test_the_shorter_way_says_the_same(
    told: list[bytes], cuts: list[int], drop: bool, rename: tuple[str, str] | None
) -> None:
    short, long = (kind(drop_usage=drop, strip_timings=False, rename=rename) for kind in (StreamFollower, LongWay))
    data, pieces = b"".join(told), []
    for cut in cuts:
        pieces.append(data[:cut])
        data = data[cut:]
    for piece in [*told, *pieces, data]:  # Event by event first, so that they are found alike; then cut anywhere.
        assert short.feed(piece) == long.feed(piece)
        assert (short.counts, short.done, short.finished, short.error_event, short.cut) == (
            long.counts, long.done, long.finished, long.error_event, long.cut,
        )  # fmt: skip

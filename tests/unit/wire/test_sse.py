"""Streams are cut wherever the network likes; whole events must come out the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.wire import sse

STREAM = b'data: {"a":1}\n\nevent: x\ndata: one\ndata: two\n\n: comment\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("stream", [STREAM, STREAM.replace(b"\n", b"\r\n")])
def test_every_split_gives_the_same_bytes(stream: bytes) -> None:
    for at in range(len(stream) + 1):
        splitter = sse.Splitter()
        assert splitter.feed(stream[:at]) + splitter.feed(stream[at:]) == stream
        assert splitter.rest == b""


@given(st.lists(st.integers(min_value=1, max_value=7), min_size=1, max_size=60))
def test_many_small_pieces_give_whole_events_only(sizes: list[int]) -> None:
    splitter, at, out = sse.Splitter(), 0, []
    for size in sizes:
        block = splitter.feed(STREAM[at : at + size])
        assert block == b"" or block.endswith(b"\n\n")
        out.append(block)
        at += size
    assert b"".join(out) + splitter.rest == STREAM[:at]


def test_events_keep_their_boundaries() -> None:
    cut = sse.events(STREAM)
    assert b"".join(cut) == STREAM
    assert [sse.data_of(event) for event in cut] == [b'{"a":1}', b"one\ntwo", b"", b"[DONE]"]


def test_an_endless_event_is_refused() -> None:
    splitter = sse.Splitter()
    splitter.feed(b"x" * sse.EVENT_BYTES_MAX)
    with pytest.raises(sse.EventTooLong):
        splitter.feed(b"x")

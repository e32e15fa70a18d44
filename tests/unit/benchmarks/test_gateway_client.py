"""What the benchmark's own client counts, and what it can't be talked into: its figures rest on it."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gateway.client import Answers, Stream
from benchmarks.gateway.mock import END, HEAD, STOP, TOKEN, event
from benchmarks.gateway.profile import summary

TOKENS = 5
ANSWER = HEAD + TOKEN * TOKENS + STOP + event('{"usage":{}}') + event("[DONE]") + END


class Sent(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def write(self, data: Any) -> None:
        self.count += 1


@given(st.sets(st.integers(1, len(ANSWER) - 1)))
def test_a_stream_is_counted_the_same_however_it_is_split(cuts: set[int]) -> None:
    """Each JSON event once, the stream once, and the next one is asked for."""
    ttft_us: list[int] = []
    stream, sent = Stream(b"ask", ttft_us), Sent()
    stream.connection_made(sent)
    edges = [0, *sorted(cuts), len(ANSWER)]
    for first, last in pairwise(edges):
        stream.data_received(ANSWER[first:last])
    assert (stream.events, stream.streams, sent.count, len(ttft_us)) == (TOKENS + 2, 1, 2, 1)


def test_a_stream_that_is_refused_is_a_failure() -> None:
    stream = Stream(b"ask", [])
    stream.connection_made(Sent())
    stream.data_received(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}")
    assert stream.failure.startswith("HTTP/1.1 500")
    assert stream.events == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n" + END,
    ],
)
def test_an_answer_is_told_once_it_is_whole(answer: bytes) -> None:
    told: list[bytes] = []
    answers = Answers(lambda _, head: told.append(head))
    for at in range(len(answer)):
        assert not told
        answers.data_received(answer[at : at + 1])
    assert told[0].startswith(b"HTTP/1.1 200 OK")


def test_a_profile_is_summed_by_function() -> None:
    said = summary("main;parse 3\nmain;send;write 1\n")
    own, below = said.split("\n\n")
    assert own.splitlines() == ["of its own (4 samples)", " 75.0%  parse", " 25.0%  write"]
    assert "100.0%  main" in below.splitlines()

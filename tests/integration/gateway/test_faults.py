"""What networks and half-dead upstreams do to a request: who answers instead, what the client is told and pays."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arkwright.domain.catalog import Target, Traits
from arkwright.domain.metering import Usage
from tests.doubles import gateway_host
from tests.doubles.faulty_upstream import (
    DONE,
    LAST,
    FaultyUpstream,
    Step,
    black_hole,
    finish,
    framed,
    head,
    stream,
    usage,
    usage_event,
    whole,
    word,
)
from tests.doubles.gateway_host import Answer, GatewayHost
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.anyio

QUICK = Traits(connect_timeout_s=0.2, first_byte_timeout_s=0.3, stream_idle_timeout_s=0.3, total_timeout_s=1.0)
WORDS = [word()] * 3
PACKED = gzip.compress(whole())
BEGUN = head() + b"".join(framed(one) for one in WORDS)
PLAIN = head(b"application/json", framing=b"content-length: %d" % len(whole()))


@asynccontextmanager
async def gateway(tmp_path: Path, *targets: Target) -> AsyncIterator[GatewayHost]:
    host = await gateway_host.start(tmp_path, gateway_host.snapshot({"mock": list(targets)}))
    try:
        yield host
    finally:
        await gateway_host.stop(host)


async def ask(host: GatewayHost, **fields: Any) -> tuple[Answer, Any]:
    """The answer and the one charge there is; None when it cost nothing."""
    answer = await host.chat("mock", **fields)
    await host.quiet()
    charges = host.settled()
    assert len(charges) + len(host.voided()) == 1
    assert host.held() == 0
    return answer, charges[0] if charges else None


# What happens → what is seen of it. All of it before the first byte of an answer, so that another target may answer.
BEFORE: dict[str, tuple[tuple[Step, ...], str, int]] = {
    "accepted and never answered": (("hang",), "timed_out", 504),
    "closed without an answer": (("close",), "broken", 502),
    "half closed without an answer": (("half",), "broken", 502),
    "reset without an answer": (("reset",), "broken", 502),
    "a head byte by byte, without end": (("each", b"HTTP/1.1 200 OK\r\nx-slow: " + b"y" * 2000), "timed_out", 504),
    "garbage": ((b"\x16\x03\x01 this is not HTTP\r\n\r\n",), "broken", 502),
    "another protocol's greeting": ((b"220 mail.example ESMTP\r\n",), "broken", 502),
    "a head that is cut off": ((b"HTTP/1.1 200 OK\r\ncontent-ty", "close"), "broken", 502),
    "a head without an end": ((b"HTTP/1.1 200 OK\r\n" + (b"x: " + b"y" * 200 + b"\r\n") * 1000,), "broken", 502),
    "an interim answer and no more": ((b"HTTP/1.1 100 Continue\r\n\r\n", "hang"), "timed_out", 504),
    "an error with a body without end": ((b"HTTP/1.1 500 No\r\ncontent-length: 99\r\n\r\n{", "hang"), "timed_out", 504),
}


@pytest.mark.parametrize("fault", BEFORE)
@pytest.mark.parametrize("streamed", [True, False])
async def test_before_the_first_byte_another_target_answers(tmp_path: Path, fault: str, streamed: bool) -> None:
    steps, outcome, status = BEFORE[fault]
    async with FaultyUpstream(*steps) as faulty, OpenAIUpstream() as sound:
        bad = Target("a", "a", faulty.base_url, "m", b"", QUICK)
        async with gateway(tmp_path / "two", bad, Target("b", "b", sound.base_url, "mock")) as host:
            answer, charge = await ask(host, stream=streamed)
            assert answer.status == 200
            assert charge.usage == Usage(10, 0, 0, 5, 0)
            assert charge.target == "b"
            assert [attempt.outcome for attempt in charge.attempts] in ([outcome, "served"], [])
        async with gateway(tmp_path / "one", bad) as host:
            answer, charge = await ask(host, stream=streamed)
            assert (answer.status, charge) == (status, None), answer.body
            assert set(answer.json["error"]) == {"message", "type", "param", "code"}


async def test_a_port_that_takes_no_connection_is_given_up_in_time(tmp_path: Path) -> None:
    async with OpenAIUpstream() as sound:
        with black_hole() as url:
            bad = Target("a", "a", url, "m", b"", QUICK)
            async with gateway(tmp_path / "two", bad, Target("b", "b", sound.base_url, "mock")) as host:
                answer, charge = await ask(host)
                assert (answer.status, charge.target) == (200, "b")
            async with gateway(tmp_path / "one", bad) as host:
                answer, charge = await ask(host)
                assert (answer.status, charge) == (504, None)


def again(data: bytes, times: int) -> tuple[Step, ...]:
    """The same, now and then."""
    return tuple(step for _ in range(times) for step in (0.05, data))


# In the middle of a stream that nobody can go on with: an error event, and what was delivered is billed.
MIDDLE: dict[str, tuple[Step, ...]] = {
    "silent": (BEGUN, "hang"),
    "closed": (BEGUN, "close"),
    "half closed": (BEGUN, "half"),
    "reset": (BEGUN, 0.05, "reset"),
    "a chunk that is cut off": (BEGUN, b"ff\r\ndata: {", "close"),
    "an event that is cut off": (BEGUN, framed(b'data: {"id":'), LAST),
    "garbage for a chunk's length": (BEGUN, b"zz\r\nxx\r\n"),
    "a comment for ever": (BEGUN, *again(framed(b": still here\n\n"), 60)),
    "a byte now and then": (BEGUN, *again(framed(b"d"), 60)),
    "an error event": (BEGUN, framed(b'data: {"error":{"message":"broke"}}\n\n'), LAST),
    "no end": (BEGUN, LAST),
}


@pytest.mark.parametrize("fault", MIDDLE)
async def test_in_the_middle_the_client_is_told_and_pays_for_what_it_has(tmp_path: Path, fault: str) -> None:
    async with FaultyUpstream(*MIDDLE[fault]) as faulty, OpenAIUpstream() as sound:
        targets = [Target("a", "a", faulty.base_url, "m", b"", QUICK), Target("b", "b", sound.base_url, "mock")]
        async with gateway(tmp_path, *targets) as host:
            answer, charge = await ask(host, stream=True)
            if charge.target == "b":
                pytest.skip("the sound one was asked first")
            assert answer.status == 200
            assert "error" in answer.events[-1]
            assert answer.body.count(b'"content":"tok "') == 3
            assert (charge.finish, charge.usage.input_tokens) == ("upstream_error", 0)
            assert charge.usage_source == "estimated"
            assert charge.usage.output_tokens >= 3


# Answers that are no answers: nothing of them reaches the client.
NO_ANSWER: dict[str, tuple[Step, ...]] = {
    "a length too long": (head(b"application/json", framing=b"content-length: 999"), whole(), "close"),
    "a length too short": (head(b"application/json", framing=b"content-length: 40"), whole()),
    "gzip": (
        head(
            b"application/json", b"content-encoding: gzip", framing=b"content-length: %d" % len(gzip.compress(whole()))
        ),
        gzip.compress(whole()),
    ),
    "a page for people": (head(b"text/html", framing=b"content-length: 20"), b"<html>hello you</html"[:20]),
    "an empty body": (head(b"application/json", framing=b"content-length: 0"),),
    "a list": (head(b"application/json", framing=b"content-length: 2"), b"[]"),
    "no status that counts": (b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n",),
}


@pytest.mark.parametrize("fault", NO_ANSWER)
async def test_what_is_no_answer_is_another_target_s_turn(tmp_path: Path, fault: str) -> None:
    async with (
        FaultyUpstream(*NO_ANSWER[fault]) as faulty,
        gateway(tmp_path, Target("a", "a", faulty.base_url, "m", b"", QUICK)) as host,
    ):
        answer, charge = await ask(host)
        assert (answer.status, charge) == (502, None), answer.body
        assert answer.json["error"]["type"] == "server_error"


# The same for streams.
NO_STREAM: dict[str, tuple[Step, ...]] = {
    "gzip": (head(b"text/event-stream", b"content-encoding: gzip"), framed(gzip.compress(word() + DONE)), LAST),
    "a page for people": (head(b"text/html"), framed(b"<html>\n\n</html>\n\n"), LAST),
    "a whole answer": (PLAIN, whole()),
    "nothing": (head(), LAST),
    "only an end": (head(), framed(DONE), LAST),
}


@pytest.mark.parametrize("fault", [name for name in NO_STREAM if name != "only an end"])
async def test_what_is_no_stream_is_another_target_s_turn(tmp_path: Path, fault: str) -> None:
    async with (
        FaultyUpstream(*NO_STREAM[fault]) as faulty,
        gateway(tmp_path, Target("a", "a", faulty.base_url, "m", b"", QUICK)) as host,
    ):
        answer, charge = await ask(host, stream=True)
        assert (answer.status, charge) == (502, None), answer.body


# However a sound stream is cut and wherever its usage stands: the same words, and the same bill.
SOUND: dict[str, tuple[Step, ...]] = {
    "frame by frame": (stream(*WORDS, finish(), usage_event(3), DONE),),
    "all in one frame": (stream(b"".join(WORDS) + finish() + usage_event(3) + DONE),),
    "one byte a write": ("each", stream(*WORDS, finish(), usage_event(3), DONE)),
    "one byte a frame": (stream(*(bytes([byte]) for byte in b"".join(WORDS) + finish() + usage_event(3) + DONE)),),
    "usage beside the finish": (stream(*WORDS, finish(b"," + usage(3)), DONE),),
    "usage before the words": (stream(usage_event(3), *WORDS, finish(), DONE),),
    "usage with each word": (stream(*(word(b"tok ", b"," + usage(n + 1)) for n in range(3)), finish(), DONE),),
    "usage twice, the last one right": (stream(usage_event(1), *WORDS, finish(), usage_event(3), DONE),),
    "usage null until the end": (stream(*([word(b"tok ", b',"usage":null')] * 3), finish(), usage_event(3), DONE),),
    "usage and the end in one write": (stream(*WORDS, finish(), usage_event(3) + DONE),),
    "comments between": (stream(b": ping\n\n", *WORDS, b": ping\n\n", finish(), usage_event(3), DONE),),
    "lines that end with CRLF": (
        stream(*(one.replace(b"\n", b"\r\n") for one in (*WORDS, finish(), usage_event(3), DONE))),
    ),
    "no length, closed at the end": (
        head(framing=b"connection: close") + b"".join(WORDS) + finish() + usage_event(3) + DONE,
        "close",
    ),
    "a reset after the end": (stream(*WORDS, finish(), usage_event(3), DONE)[: -len(LAST)], 0.05, "reset"),
}


@pytest.mark.parametrize("how", SOUND)
async def test_a_sound_stream_costs_the_same_however_it_is_cut(tmp_path: Path, how: str) -> None:
    async with (
        FaultyUpstream(*SOUND[how]) as odd,
        gateway(tmp_path, Target("a", "a", odd.base_url, "m", b"", Traits())) as host,
    ):
        answer, charge = await ask(host, stream=True)
        assert answer.status == 200
        assert answer.events[-1] == "[DONE]"
        assert answer.body.count(b'"content":"tok "') == 3
        assert (charge.usage, charge.usage_source, charge.finish) == (
            Usage(10, 0, 0, 3, 0),
            "provider",
            "completed",
        )


async def test_the_caller_s_own_mistake_is_not_tried_elsewhere(tmp_path: Path) -> None:
    error = b'{"error":{"message":"no such thing","type":"invalid_request_error","code":null,"param":"x"}}'
    bad = b"HTTP/1.1 400 No\r\ncontent-length: %d\r\n\r\n" % len(error) + error
    async with FaultyUpstream(bad) as one, FaultyUpstream(bad) as two:
        targets = [Target("a", "a", one.base_url, "m"), Target("b", "b", two.base_url, "m")]
        async with gateway(tmp_path, *targets) as host:
            answer, charge = await ask(host)
            assert (answer.status, charge) == (400, None)
            assert answer.json["error"]["message"] == "no such thing"
            assert one.requests + two.requests == 1


async def test_a_target_that_asks_to_be_waited_for_is_waited_for_once(tmp_path: Path) -> None:
    busy = b"HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\n{}"
    async with (
        FaultyUpstream(busy) as upstream,
        gateway(tmp_path, Target("a", "a", upstream.base_url, "m")) as host,
    ):
        began = asyncio.get_running_loop().time()
        answer, charge = await ask(host)
        assert asyncio.get_running_loop().time() - began >= 1.0
        assert (answer.status, answer.headers["retry-after"], charge) == (503, "1", None)
        assert upstream.requests == 2


async def test_a_target_that_asks_for_too_much_time_is_not_waited_for(tmp_path: Path) -> None:
    busy = b"HTTP/1.1 429 Busy\r\nretry-after: 30\r\ncontent-length: 2\r\n\r\n{}"
    async with (
        FaultyUpstream(busy) as upstream,
        gateway(tmp_path, Target("a", "a", upstream.base_url, "m")) as host,
    ):
        answer, charge = await ask(host)
        assert (answer.status, answer.headers["retry-after"], charge) == (429, "30", None)
        assert upstream.requests == 1


async def test_the_total_time_ends_an_answer_that_never_ends(tmp_path: Path) -> None:
    """And, as nothing was delivered of a whole answer, another target is asked."""
    async with FaultyUpstream(PLAIN[:-4], *again(b"\r\nx: y", 100)) as slow, OpenAIUpstream() as sound:
        patient = msgspec.structs.replace(QUICK, first_byte_timeout_s=60.0, total_timeout_s=0.4)
        targets = [Target("a", "a", slow.base_url, "m", b"", patient), Target("b", "b", sound.base_url, "mock")]
        async with gateway(tmp_path, *targets) as host:
            answer, charge = await ask(host)
            assert (answer.status, charge.target) == (200, "b")
            assert [attempt.outcome for attempt in charge.attempts] in (["timed_out", "served"], [])

"""Idempotency-Key in one worker: one charge, the stored answer byte for byte, and nothing changed by a refusal."""

import asyncio
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arkwright.domain import journal as records
from arkwright.domain.limits import Limit
from arkwright.gateway.admission import Admitted
from arkwright.gateway.charging import Metered, Served
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.state import State
from arkwright.store.journal import Disk
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, PREPAID, SCOPED, UNIT, UNPRICED, Answer, GatewayHost, head, read_answer
from tests.doubles.openai_upstream import OpenAIUpstream
from tests.integration.gateway.conftest import target

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


def chat(model: str = "mock", **fields: Any) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]} | fields).encode()


async def post(host: GatewayHost, body: bytes, key: str = "k1", *, path: str = CHAT, api_key: str = POSTPAID) -> Answer:
    return await host.call("POST", path, body, {"authorization": f"Bearer {api_key}", "idempotency-key": key})


def same(first: Answer, again: Answer) -> bool:
    """The answer of a replay is the first one's, to the byte and the request id."""
    kept = ("content-type", "x-request-id", "cache-control", "content-length", "transfer-encoding")
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    return (first.status, first.body, [first.headers.get(name) for name in kept]) == (
        again.status,
        again.body,
        [again.headers.get(name) for name in kept],
    )


def files(host: GatewayHost) -> list[Path]:
    return [path for path in host.worker.settings.paths.answers.glob("??/*") if path.is_file()]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, chat()),
        (CHAT, chat(stream=True)),
        (CHAT, chat(stream=True, stream_options={"include_usage": True})),
        (CHAT, chat("llama", n=2)),
        ("/v1/completions", json.dumps({"model": "mock", "prompt": "hello"}).encode()),
        ("/v1/completions", json.dumps({"model": "mock", "prompt": ["a", "b"], "stream": True}).encode()),
        ("/v1/embeddings", json.dumps({"model": "vectors", "input": ["a", "b"]}).encode()),
    ],
)
async def test_the_same_again_is_the_stored_answer_and_one_charge(
    gateway: GatewayHost, upstream: OpenAIUpstream, path: str, body: bytes
) -> None:
    first = await post(gateway, body, path=path)
    asked = len(upstream.requests)
    for _ in range(3):
        assert same(first, await post(gateway, body, path=path))
    assert first.status == 200
    assert len(upstream.requests) == asked
    settled = gateway.settled()
    assert [f"req_{one.event_id.hex()}" for one in settled] == [first.headers["x-request-id"]]
    assert gateway.held() == 0


async def test_without_the_header_nothing_is_kept_and_each_is_charged(gateway: GatewayHost) -> None:
    for _ in range(2):
        answer = await gateway.chat()
        assert "idempotent-replayed" not in answer.headers
    assert len(gateway.settled()) == 2
    assert files(gateway) == []
    assert gateway.worker.idempotency._threads is None


async def test_another_body_or_path_is_refused_and_changes_nothing(
    gateway: GatewayHost, upstream: OpenAIUpstream
) -> None:
    first = await post(gateway, chat())
    for path, body in (
        (CHAT, chat(max_tokens=3)),
        (CHAT, chat() + b" "),
        ("/v1/completions", b'{"model":"mock","prompt":"x"}'),
    ):
        refused = await post(gateway, body, path=path)
        assert (refused.status, refused.json["error"]["code"]) == (422, "idempotency_key_reused")
        assert refused.headers["x-request-id"] != first.headers["x-request-id"]
    assert same(first, await post(gateway, chat()))
    assert (len(upstream.requests), len(gateway.settled()), len(gateway.records())) == (1, 1, 3)


async def test_a_key_belongs_to_the_organization(gateway: GatewayHost) -> None:
    gateway.words.set_ceiling(0, UNIT)
    mine = await post(gateway, chat(), api_key=POSTPAID)
    theirs = await post(gateway, chat(), api_key=PREPAID)
    assert (mine.status, theirs.status) == (200, 200)
    assert mine.headers["x-request-id"] != theirs.headers["x-request-id"]
    # Of the same organization, but its API key may not call this model: the stored answer is not shown to it.
    assert (await post(gateway, chat(), api_key=SCOPED)).status == 404
    assert {one.organization_id for one in gateway.settled()} == {"org_post", "org_pre"}


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "naïve", "tab\there"])
async def test_a_bad_key_is_refused(gateway: GatewayHost, upstream: OpenAIUpstream, key: str) -> None:
    refused = await post(gateway, chat(), key)
    assert (refused.status, refused.json["error"]["code"]) == (400, "invalid_idempotency_key")
    assert upstream.requests == []


async def test_a_long_key_is_taken_and_two_keys_are_not(gateway: GatewayHost) -> None:
    assert (await post(gateway, chat(), "k" * 255)).status == 200
    assert (await post(gateway, chat(), 'a "quoted" key, with spaces ~')).status == 200
    async with gateway.connect() as (reader, writer):
        headers = {"authorization": f"Bearer {POSTPAID}", "idempotency-key": "a", "Idempotency-Key": "b"}
        writer.write(head("POST", CHAT, {"content-length": str(len(chat())), **headers}) + chat())
        assert (await read_answer(reader)).json["error"]["code"] == "invalid_idempotency_key"


@pytest.mark.parametrize("stream", [False, True])
async def test_those_at_once_wait_for_the_first(gateway: GatewayHost, upstream: OpenAIUpstream, stream: bool) -> None:
    body = chat("slow", stream=stream)
    answers = await asyncio.gather(*(post(gateway, body) for _ in range(50)))
    first = next(answer for answer in answers if "idempotent-replayed" not in answer.headers)
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 49
    assert all(same(first, answer) for answer in answers if answer is not first)
    assert (len(upstream.requests), len(gateway.settled())) == (1, 1)


async def test_another_body_need_not_wait_to_be_refused(gateway: GatewayHost) -> None:
    first = asyncio.create_task(post(gateway, chat("late")))
    await until(lambda: bool(gateway.worker.forwards))
    refused = await post(gateway, chat("late", max_tokens=2))
    assert not first.done()
    assert refused.status == 422
    assert (await first).status == 200


@pytest.mark.parametrize("model", ["status-500", "status-400", "status-429", "unreachable", "empty", "garbage"])
async def test_what_failed_without_a_charge_may_be_tried_again(
    gateway: GatewayHost, upstream: OpenAIUpstream, model: str
) -> None:
    failed = await post(gateway, chat(model))
    assert failed.status >= 400
    assert files(gateway) == []
    # The key is as if never used: for another body, too.
    assert (await post(gateway, chat())).status == 200
    assert len(gateway.settled()) == 1


async def test_each_that_waited_for_a_failure_tries_for_itself(gateway: GatewayHost, upstream: OpenAIUpstream) -> None:
    answers = await asyncio.gather(*(post(gateway, chat("status-503")) for _ in range(3)))
    assert [answer.status for answer in answers] == [503] * 3
    assert len(upstream.requests) == 3
    assert gateway.settled() == []


async def test_a_refusal_for_want_of_money_is_tried_again_once_there_is_some(gateway: GatewayHost) -> None:
    assert (await post(gateway, chat(), api_key=PREPAID)).status == 402
    gateway.words.set_ceiling(0, UNIT)
    assert (await post(gateway, chat(), api_key=PREPAID)).status == 200
    assert (await post(gateway, chat(), api_key=UNPRICED)).status == 503
    assert len(gateway.settled()) == 1


async def test_a_stream_that_broke_after_some_tokens_was_charged_and_is_replayed_as_it_was(
    gateway: GatewayHost, upstream: OpenAIUpstream
) -> None:
    first = await post(gateway, chat("errors", stream=True))
    assert b'"error"' in first.body
    assert same(first, await post(gateway, chat("errors", stream=True)))
    assert (len(upstream.requests), [one.finish for one in gateway.settled()]) == (1, ["upstream_error"])


@pytest.mark.parametrize("model", ["slow", "engine"])
@pytest.mark.parametrize("stream", [False, True])
async def test_who_hangs_up_finds_the_whole_answer_when_he_comes_back(
    gateway: GatewayHost, upstream: OpenAIUpstream, model: str, stream: bool
) -> None:
    body = chat(model, stream=stream, max_tokens=50)
    headers = {"authorization": f"Bearer {POSTPAID}", "idempotency-key": "k1", "content-length": str(len(body))}
    async with gateway.connect() as (_, writer):
        writer.write(head("POST", CHAT, headers) + body)
        await until(lambda: bool(upstream.generated and upstream.generated[0]))
    again = await post(gateway, body)
    assert again.status == 200
    assert again.headers["idempotent-replayed"] == "true"
    if stream:
        assert again.events[-1] == "[DONE]"
        assert len(again.events) > 20
    (settled,) = gateway.settled()
    assert (settled.finish, settled.status) == ("completed", 200)
    assert settled.usage.output_tokens == (20 if model == "slow" else 50)
    assert f"req_{settled.event_id.hex()}" == again.headers["x-request-id"]
    assert len(upstream.requests) == 1


async def test_a_client_that_stopped_reading_and_left_does_not_stop_its_answer(
    gateway: GatewayHost, upstream: OpenAIUpstream
) -> None:
    """The stream is longer than all buffers, so the upstream is paused when its client leaves."""
    body = chat("huge", stream=True)
    headers = {"authorization": f"Bearer {POSTPAID}", "idempotency-key": "k1", "content-length": str(len(body))}
    async with gateway.connect(limit=1) as (_, writer):
        writer.write(head("POST", CHAT, headers) + body)
        await until(lambda: any(connection._full for connection in gateway.worker.connections))
        await asyncio.sleep(0.1)
        assert upstream.generated[0] < 400
    await until(lambda: len(gateway.settled()) == 1)
    assert gateway.settled()[0].usage.output_tokens == 400
    gone = await post(gateway, body)
    assert (gone.status, gone.json["error"]["code"]) == (422, "idempotent_answer_not_kept")
    assert gone.headers["x-request-id"] == f"req_{gateway.settled()[0].event_id.hex()}"
    assert len(gateway.settled()) == 1


async def test_who_waits_too_long_is_told_and_may_come_again(gateway: GatewayHost, tmp_path: Path) -> None:
    worker = gateway.worker
    worker.settings = msgspec.structs.replace(worker.settings, idempotency_wait_s=0.1)
    first = asyncio.create_task(post(gateway, chat("late")))
    await until(lambda: bool(worker.forwards))
    late = await post(gateway, chat("late"))
    assert (late.status, late.json["error"]["code"], late.headers["retry-after"]) == (
        409,
        "idempotency_key_in_use",
        "1",
    )
    done = await first
    assert same(done, await post(gateway, chat("late")))


class Broken(Disk):
    """Fails a kind of call while told to."""

    def __init__(self) -> None:
        self.fails: set[str] = set()

    def write(self, fd: int, data: memoryview) -> int:
        if "write" in self.fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(fd, data)

    def sync(self, fd: int) -> None:
        if "sync" in self.fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(fd)


async def test_a_disk_that_takes_no_claim_serves_no_such_request(
    gateway: GatewayHost, upstream: OpenAIUpstream
) -> None:
    disk = gateway.worker.idempotency._store._disk = Broken()
    disk.fails = {"write"}
    refused = await post(gateway, chat())
    assert (refused.status, refused.json["error"]["code"]) == (503, "idempotency_unavailable")
    assert (await gateway.chat()).status == 200, "who asks for no promise is served"
    disk.fails = set()
    assert (await post(gateway, chat())).status == 200
    assert (len(upstream.requests), len(gateway.settled())) == (2, 2)


@pytest.mark.parametrize("call", ["write", "sync"])
async def test_an_answer_that_could_not_be_kept_is_charged_once_all_the_same(
    gateway: GatewayHost, upstream: OpenAIUpstream, call: str
) -> None:
    disk = gateway.worker.idempotency._store._disk = Broken()
    first = asyncio.create_task(post(gateway, chat("late")))
    await until(lambda: bool(gateway.worker.forwards))
    disk.fails = {call}
    answer = await first
    assert answer.status == 200
    again = await post(gateway, chat("late"))
    if call == "write":
        assert (again.status, again.json["error"]["code"]) == (422, "idempotent_answer_not_kept")
        assert again.headers["x-request-id"] == answer.headers["x-request-id"]
    else:
        assert same(answer, again)
    assert (len(upstream.requests), len(gateway.settled())) == (1, 1)


async def test_an_expired_key_is_as_if_never_used(gateway: GatewayHost) -> None:
    gateway.worker.idempotency._store._retention_us = 1
    first, again = await post(gateway, chat()), await post(gateway, chat())
    assert "idempotent-replayed" not in again.headers
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    assert len(gateway.settled()) == 2


async def test_the_answer_leaves_after_it_and_its_charge_are_on_the_disk(gateway: GatewayHost) -> None:
    """The order of the law: answer synced, charge appended, charge synced, client told, mark."""
    order: list[str] = []
    store, charging = gateway.worker.idempotency._store, gateway.worker.charging
    settle = charging.settle

    class Watched(Disk):
        def sync(self, fd: int) -> None:
            super().sync(fd)
            order.append("answer on disk")

    def watched(
        admitted: Admitted,
        exchange: Exchange,
        served: Served,
        metered: Metered,
        on_durable: Callable[[], None] | None = None,
    ) -> int:
        order.append("charge appended")
        assert on_durable is not None

        def durable() -> None:
            order.append("charge on disk")
            on_durable()

        return settle(admitted, exchange, served, metered, durable)

    store._disk = Watched()
    charging.settle = watched  # type: ignore[method-assign]
    assert (await post(gateway, chat())).status == 200
    assert order == ["answer on disk", "charge appended", "charge on disk"]
    assert isinstance(gateway.records()[-1], records.Settled)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("stream", [False, True])
async def test_limits_stand_on_the_first_answer_and_a_replay_counts_in_none(
    gateway: GatewayHost, upstream: OpenAIUpstream, stream: bool
) -> None:
    limit = Limit("lim_0", "org_post", 0, "organization", "", "", requests_per_minute=1)
    content = gateway_host.snapshot({"mock": [target(upstream, "mock")]})
    gateway.worker.use(State(msgspec.structs.replace(content, limits=(limit,)), b"\0" * 32))
    first = await post(gateway, chat(stream=stream))
    assert first.headers["x-ratelimit-remaining-requests"] == "0"
    assert same(first, await post(gateway, chat(stream=stream)))
    refused = await post(gateway, chat(stream=stream), "k2")
    assert (refused.status, refused.headers["x-ratelimit-remaining-requests"]) == (429, "0")
    assert same(first, await post(gateway, chat(stream=stream)))


async def test_without_room_for_any_answer_a_key_still_guards_against_a_second_charge(gateway: GatewayHost) -> None:
    worker = gateway.worker
    worker.settings = msgspec.structs.replace(worker.settings, idempotency_answer_bytes_max=0)
    first = await post(gateway, chat())
    again = await post(gateway, chat())
    assert (first.status, again.status) == (200, 422)
    assert again.json["error"]["code"] == "idempotent_answer_not_kept"
    (file,) = files(gateway)
    assert first.json["choices"][0]["message"]["content"].encode() not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0
    assert len(gateway.settled()) == 1

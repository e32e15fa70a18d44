"""Whatever upstreams and clients do at once: each admitted request ends once, and nothing of it is left."""

import asyncio
import json
import random
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import msgspec
import pytest

from arkwright.domain import journal
from arkwright.domain.catalog import Target
from arkwright.gateway.routes import Route
from tests.doubles import gateway_host
from tests.doubles.faulty_upstream import LAST, FaultyUpstream, Step, finish, framed, head, stream, usage_event, word
from tests.doubles.gateway_host import LLAMA, POSTPAID, PREPAID, UNIT, GatewayHost
from tests.doubles.replica import Doom, Replica

pytestmark = pytest.mark.anyio

REQUESTS = 240
WORDS = [word()] * 3
ODD: tuple[tuple[Step, ...], ...] = (
    ("close",),
    ("reset",),
    ("half",),
    (b"nonsense",),
    (0.15, "close"),
    (b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\n{}",),
    (b"HTTP/1.1 400 No\r\ncontent-length: 2\r\n\r\n{}",),
    (head() + framed(word()), "reset"),
    (head() + framed(word()), 0.1, framed(word()), "close"),
    (head() + framed(b'data: {"error":{"message":"broke"}}\n\n') + LAST,),
    (stream(*WORDS, finish(), usage_event(3)),),
    (0.1, stream(*WORDS, finish(), usage_event(3))),
)


@pytest.mark.parametrize("seed", range(3))
async def test_every_request_ends_once_and_leaves_nothing(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("PATIENCE_S", "STARTING_S", "WORDLESS_S"):  # Some routes have nobody who ever answers.
        monkeypatch.setattr(f"arkwright.gateway.rounds.{bound}", 1.0)
    chance, doom = random.Random(seed), Doom()
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(Replica(doom, gap_ms=1)) for _ in range(2)]
        odd = [await stack.enter_async_context(FaultyUpstream(*steps)) for steps in ODD]
        engine = msgspec.structs.replace(LLAMA, continues=True)
        targets = [Target(f"rep_{n}", "words", one.base_url, "m", b"", engine) for n, one in enumerate(replicas)]
        strange = [Target(f"odd_{n}", f"odd {n}", one.base_url, "m", b"", LLAMA) for n, one in enumerate(odd)]
        host = await gateway_host.start(tmp_path, gateway_host.snapshot({"mock": targets}), drain_timeout_s=1.0)
        stack.push_async_callback(gateway_host.stop, host)
        host.words.set_ceiling(0, UNIT)
        for number in range(8):
            some = (*chance.sample(strange, 4), *chance.sample(targets, number % 3 and 1))
            model = host.worker.state.models["mock"]
            host.worker.state.routes[f"mock-{number}"] = Route("mock", model, some, hedged=number % 2 == 0)
            host.worker.hedging._of("mock").us = 30_000.0
        answers = await asyncio.gather(*(_one(host, chance, doom) for _ in range(REQUESTS)))
        await host.quiet()
        _each_ended_once(host)
        assert [host.worker.fleet.outstanding(one.id) for one in (*targets, *strange)] == [0] * (len(ODD) + 2)
        assert Counter(answers)[0] > 3, "some hung up"
        assert Counter(answers)[200] > REQUESTS // 4


def _each_ended_once(host: GatewayHost) -> None:
    ends = Counter(
        record.event_id
        for record in host.records()
        if isinstance(record, journal.Settled | journal.Voided) and record.event_id != bytes(16)
    )
    begun = [record.event_id for record in host.records() if isinstance(record, journal.Intent)]
    assert ends == Counter(begun)
    assert REQUESTS // 2 < len(begun) <= REQUESTS, "some hung up before they had said anything"
    host.worker.charging.permits.flush()
    assert [host.words.held(row) for row in range(4)] == [0] * 4
    for charge in host.settled():
        assert [attempt.outcome for attempt in charge.attempts].count("served") == (1 if charge.attempts else 0)


async def _one(host: GatewayHost, chance: random.Random, doom: Doom) -> int:
    """One request, read to its end or hung up on; 0: hung up."""
    await asyncio.sleep(chance.random())
    if chance.random() < 0.5:
        doom.cuts.append(chance.randrange(40))
    model = f"mock-{chance.randrange(8)}"
    body = {"model": model, "stream": chance.random() < 0.7, "messages": [{"role": "user", "content": "say it"}]}
    sent = json.dumps(body).encode()
    key = chance.choice((POSTPAID, PREPAID))
    asking = asyncio.create_task(host.call("POST", "/v1/chat/completions", sent, {"authorization": f"Bearer {key}"}))
    if chance.random() < 0.2:
        with suppress(TimeoutError):
            return (await asyncio.wait_for(asking, chance.random() * 0.2)).status
        return 0
    return (await asking).status

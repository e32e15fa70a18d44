"""What the pump carries whole is answered, held and charged as Python would have: to the byte, to the pico."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arkwright.basics.clock import now_us
from arkwright.domain.catalog import Target, Traits
from arkwright.domain.journal import Intent, Settled, Voided
from arkwright.domain.limits import Limit
from arkwright.domain.pricing import PriceVersion, Rule
from arkwright.gateway import pump
from arkwright.gateway.state import State
from tests.doubles import gateway_host
from tests.doubles.canned_upstream import CannedUpstream
from tests.doubles.gateway_host import PREPAID, UNIT, GatewayHost
from tests.integration.gateway.test_pump import ODD, in_chunks, whole, with_length

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not pump.built(), reason="the native modules are not built"),
]

USUAL = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 50}


class Pair:
    """One upstream, a gateway with lanes, and one that does all in Python: the second is how it should be."""

    def __init__(self, upstream: CannedUpstream, pumped: GatewayHost, plain: GatewayHost) -> None:
        self.upstream = upstream
        self.pumped = pumped
        self.plain = plain

    @property
    def carried(self) -> int:
        """How many requests no Python has seen."""
        assert self.pumped.worker.lanes is not None
        self.pumped.worker.lanes.count()
        return self.pumped.worker.lanes.carried


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with CannedUpstream() as upstream:
        models = {
            "same": [Target("tgt_same", "same", upstream.base_url, "same")],
            "other": [Target("tgt_other", "other", upstream.base_url, "upstream-name")],
            "refusing": [Target("tgt_no", "no", upstream.base_url, "refusing", traits=Traits(refuses=("seed",)))],
        }
        limits = (
            Limit("lim_1", "org_pre", 0, "organization", "", "", 10_000, 10_000_000, 100),
            Limit("lim_2", "org_pre", 1, "key", "key_pre", "", tokens_per_minute=1_000_000),
        )
        snapshot = msgspec.structs.replace(gateway_host.snapshot(models), limits=limits)
        hosts = [
            await gateway_host.start(tmp_path / carrier, snapshot, pump=carrier, first_byte_timeout_s=1.0)
            for carrier in ("on", "off")
        ]
        for host in hosts:
            host.words.set_ceiling(0, 1000 * UNIT)
        yield Pair(upstream, *hosts)
        for host in hosts:
            await host.quiet()
            assert host.held() == 0, "something is held, and nobody is there"
            await gateway_host.stop(host)


def request(body: bytes, *headers: str, key: str = PREPAID) -> bytes:
    lines = ["POST /v1/chat/completions HTTP/1.1", "Host: test", f"Authorization: Bearer {key}", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def chat(model: str = "same", **fields: Any) -> bytes:
    return request(json.dumps({"model": model, **USUAL, **fields}).encode())


class Client:
    """One kept-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes, cut: int = 0) -> None:
        self._writer.write(data[:cut])
        await self._writer.drain()
        for _ in range(4 if cut else 0):
            await asyncio.sleep(0)
        self._writer.write(data[cut:])

    async def answer(self) -> bytes:
        """Without what differs from one request to the next."""
        async with asyncio.timeout(20):
            while (head := await self._reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100"):
                pass
            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await self._reader.readexactly(length)
        head = re.sub(rb"req_[0-9a-f]{32}", b"req_", head)
        return re.sub(rb"(x-ratelimit-(?:remaining|reset)-\w+): [^\r]*", rb"\1: ?", head) + body

    async def ask(self, data: bytes, cut: int = 0) -> bytes:
        await self.send(data, cut)
        return await self.answer()


async def warm(pair: Pair, *models: str) -> None:
    """Let each gateway have a connection to the upstream at rest: only then is there something to carry."""
    for host in (pair.pumped, pair.plain):
        for model in models:
            pair.upstream.answer, pair.upstream.cut = with_length(whole(model)), 0
            async with host.connect() as (reader, writer):
                await Client(reader, writer).ask(chat(model, stop="x"))  # Not plain.


async def records(host: GatewayHost) -> list[dict[str, object]]:
    """What was written of each request, by the order in which they came; without moments and ids."""
    await host.quiet()
    volatile = {
        "event_id", "started_us", "ended_us", "at_us", "ttft_us", "attempts", "queue_us", "connect_us", "tried",
        "asked",
    }  # fmt: skip
    return [
        {"record": type(record).__name__}
        | {name: value for name, value in msgspec.structs.asdict(record).items() if name not in volatile}
        for record in host.records()
        if isinstance(record, Intent | Settled) or (isinstance(record, Voided) and record.reason != "barrier")
    ]


@pytest.mark.parametrize("model", ["same", "other"])
async def test_an_answer_cut_anywhere(pair: Pair, model: str) -> None:
    await warm(pair, model)
    name = "upstream-name" if model == "other" else model
    pair.upstream.answer = with_length(whole(name), b"x-request-id: up_1")
    async with pair.plain.connect() as (reader, writer):
        expected = await Client(reader, writer).ask(chat(model))
    assert expected.startswith(b"HTTP/1.1 200")
    cuts = range(0, len(pair.upstream.answer), 9)
    async with pair.pumped.connect() as (reader, writer):
        client = Client(reader, writer)
        for pair.upstream.cut in cuts:
            assert await client.ask(chat(model)) == expected, f"cut at {pair.upstream.cut}"
    assert pair.carried == len(cuts)
    written = await records(pair.plain)
    assert await records(pair.pumped) == written[:2] + written[2:] * len(cuts)


async def test_a_request_cut_anywhere(pair: Pair) -> None:
    await warm(pair, "same")
    async with pair.plain.connect() as (reader, writer):
        expected = await Client(reader, writer).ask(chat())
    async with pair.pumped.connect() as (reader, writer):
        client = Client(reader, writer)
        for cut in range(0, len(chat()), 3):
            assert await client.ask(chat(), cut) == expected, f"cut at {cut}"


BODIES: dict[str, bytes] = {
    "usual": json.dumps({"model": "same", **USUAL}).encode(),
    "spaces": b' \n{ "model" : "same" , "messages" : [ { "role":"user" , "content" : "x" } ] } \t',
    "no bound": b'{"model":"same","messages":[{"role":"user","content":"x"}]}',
    "two bounds": b'{"model":"same","messages":[{"role":"user","content":"x"}],"max_tokens":7,'
                  b'"max_completion_tokens":90}',
    "a bound beyond the context": b'{"model":"same","messages":[{"role":"user","content":"x"}],"max_tokens":99999999}',
    "everything plain": b'{"messages":[{"content":"a","role":"system"},{"role":"user","content":"b"},'
                        b'{"role":"assistant","content":""}],"temperature":2.0,"top_p":0.9,"frequency_penalty":-2,'
                        b'"presence_penalty":1.5,"user":"u","seed":-5,"stream":false,"model":"same"}',
    "letters": '{"model":"same","messages":[{"role":"user","content":"纺纱机 é 🧵"}]}'.encode(),
    "escapes": rb'{"model":"same","messages":[{"role":"user","content":"a\"b\\c\n\u00e9\/"}]}',
    "surrogates": rb'{"model":"same","messages":[{"role":"user","content":"\ud83e\uddf5"}]}',
    "half a surrogate": rb'{"model":"same","messages":[{"role":"user","content":"\ud83e"}]}',
    "broken UTF-8": b'{"model":"same","messages":[{"role":"user","content":"\xff"}]}',
    "overlong UTF-8": b'{"model":"same","messages":[{"role":"user","content":"\xc0\x80"}]}',
    "a control": b'{"model":"same","messages":[{"role":"user","content":"a\tb"}]}',
    "parts": b'{"model":"same","messages":[{"role":"user","content":[{"type":"text","text":"x"}]}]}',
    "a name": b'{"model":"same","messages":[{"role":"user","content":"x","name":"n"}]}',
    "no content": b'{"model":"same","messages":[{"role":"assistant"}]}',
    "a strange role": b'{"model":"same","messages":[{"role":"king","content":"x"}]}',
    "no messages": b'{"model":"same","messages":[]}',
    "no model": b'{"messages":[{"role":"user","content":"x"}]}',
    "another's model": b'{"model":"nobody","messages":[{"role":"user","content":"x"}]}',
    "a model twice": b'{"model":"same","model":"other","messages":[{"role":"user","content":"x"}]}',
    "unknown fields": b'{"model":"same","messages":[{"role":"user","content":"x"}],"top_k":3}',
    "what its target refuses": b'{"model":"refusing","messages":[{"role":"user","content":"x"}],"seed":1}',
    "too hot": b'{"model":"same","messages":[{"role":"user","content":"x"}],"temperature":2.01}',
    "too cold": b'{"model":"same","messages":[{"role":"user","content":"x"}],"temperature":-0.1}',
    "an exponent": b'{"model":"same","messages":[{"role":"user","content":"x"}],"temperature":1e0}',
    "no tokens": b'{"model":"same","messages":[{"role":"user","content":"x"}],"max_tokens":0}',
    "a part of a token": b'{"model":"same","messages":[{"role":"user","content":"x"}],"max_tokens":1.5}',
    "tokens in words": b'{"model":"same","messages":[{"role":"user","content":"x"}],"max_tokens":"5"}',
    "null": b'{"model":"same","messages":[{"role":"user","content":"x"}],"max_tokens":null,"temperature":null}',
    "two answers": b'{"model":"same","messages":[{"role":"user","content":"x"}],"n":2}',
    "a comma too many": b'{"model":"same","messages":[{"role":"user","content":"x"}],}',
    "half": b'{"model":"same","messages":[{"role":"user","content":"x"}]',
    "more": b'{"model":"same","messages":[{"role":"user","content":"x"}]} {}',
    "a list": b"[]",
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_every_body_means_what_it_means_to_python(pair: Pair, body: bytes) -> None:
    await warm(pair, "same")
    for host in (pair.pumped, pair.plain):
        async with host.connect() as (reader, writer):
            client = Client(reader, writer)
            answers = [await client.ask(request(body)) for _ in range(2)]
            if host is pair.pumped:
                told = answers
    assert told == answers
    assert await records(pair.pumped) == await records(pair.plain)


HEADS = {
    "usual": (),
    "kept alive": ("Connection: keep-alive",),
    "small letters": ("x-stainless-lang: python", "accept: */*"),
    "an expectation": ("Expect: 100-continue",),
    "two keys": (f"Authorization: Bearer {PREPAID}",),
    "two hosts": ("Host: other",),
    "two lengths": ("Content-Length: 3",),
    "chunks, too": ("Transfer-Encoding: chunked",),
    "an upgrade": ("Connection: upgrade", "Upgrade: h2c"),
    "a folded line": ("X-A: b", " c"),
    "a space before the colon": ("X-A : b",),
    "no colon": ("X-A",),
    "a control": ("X-A: \x01",),
    "many": tuple(f"X-{number}: y" for number in range(70)),
}


@pytest.mark.parametrize("headers", HEADS.values(), ids=HEADS.keys())
async def test_every_head_means_what_it_means_to_python(pair: Pair, headers: tuple[str, ...]) -> None:
    await warm(pair, "same")
    told = []
    for host in (pair.pumped, pair.plain):
        async with host.connect() as (reader, writer):
            told.append(await Client(reader, writer).ask(request(BODIES["usual"], *headers)))
    assert told[0] == told[1]
    assert await records(pair.pumped) == await records(pair.plain)


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD.keys())
async def test_an_odd_answer_is_handed_over(pair: Pair, answer: bytes) -> None:
    for cut in (0, 7, len(answer) // 2, len(answer) - 1):
        told = []
        for host in (pair.pumped, pair.plain):
            await warm_one(pair, host)
            pair.upstream.answer, pair.upstream.cut, pair.upstream.closes = answer, cut, True
            async with host.connect() as (reader, writer):
                told.append(await Client(reader, writer).ask(chat()))
            pair.upstream.closes = False
        assert told[0] == told[1], f"cut at {cut}"
    assert await records(pair.pumped) == await records(pair.plain)


async def warm_one(pair: Pair, host: GatewayHost) -> None:
    pair.upstream.answer, pair.upstream.cut = with_length(whole("same")), 0
    async with host.connect() as (reader, writer):
        await Client(reader, writer).ask(chat(stop="x"))


USAGES = {
    "usual": {"prompt_tokens": 11, "completion_tokens": 7},
    "zero": {"prompt_tokens": 0, "completion_tokens": 0},
    "cached": {"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 4}},
    "all cached": {"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 40}},
    "no details": {"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": None},
    "null details": {"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": None}},
    "written": {"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": {"cache_write_tokens": 4}},
    "reasoned": {"prompt_tokens": 1, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 4}},
    "not reasoned": {"prompt_tokens": 1, "completion_tokens": 7, "completion_tokens_details": {"reasoning_tokens": 0}},
    "one count": {"completion_tokens": 7},
    "below zero": {"prompt_tokens": -1, "completion_tokens": 7},
    "in words": {"prompt_tokens": "11", "completion_tokens": 7},
    "in parts": {"prompt_tokens": 11.0, "completion_tokens": 7},
    "beyond the hold": {"prompt_tokens": 11, "completion_tokens": 700_000},
    "beyond words": {"prompt_tokens": 11, "completion_tokens": 10**20},
    "none": None,
}


@pytest.mark.parametrize("usage", USAGES.values(), ids=USAGES.keys())
async def test_every_usage_is_charged_as_python_charges_it(pair: Pair, usage: object) -> None:
    await warm(pair, "same")
    body = {"id": "x", "model": "same", "choices": [{"message": {"content": 'a "usage": {'}}], "usage": usage}
    pair.upstream.answer = with_length(json.dumps(body).encode())
    told = []
    for host in (pair.pumped, pair.plain):
        async with host.connect() as (reader, writer):
            told.append(await Client(reader, writer).ask(chat()))
    assert told[0] == told[1]
    assert await records(pair.pumped) == await records(pair.plain)


async def test_limits_are_counted_and_told_alike(pair: Pair) -> None:
    """The whole head, the state of the limits within, from a window that is empty in both."""
    await warm(pair, "same")
    heads = []
    for host in (pair.pumped, pair.plain):
        async with host.connect() as (reader, writer):
            for _ in range(3):
                writer.write(chat())
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
                heads.append(re.sub(rb"(req_)[0-9a-f]{32}|(reset-\w+): [^\r]*", rb"\1\2", head))
    assert heads[:3] == heads[3:]
    assert b"x-ratelimit-remaining-requests: 9996\r\n" in heads[2]


async def test_a_balance_that_is_used_up_is_refused_in_words(pair: Pair) -> None:
    await warm(pair, "same")
    told = []
    for host in (pair.pumped, pair.plain):
        host.words.set_ceiling(0, host.words.reserved(0) + 1)
        async with host.connect() as (reader, writer):
            told.append(await Client(reader, writer).ask(chat()))
    assert told[0] == told[1]
    assert told[0].startswith(b"HTTP/1.1 402")


async def test_a_silent_upstream_is_given_up(pair: Pair) -> None:
    told = []
    for host in (pair.pumped, pair.plain):
        await warm_one(pair, host)
        pair.upstream.answer = b""
        async with host.connect() as (reader, writer):
            told.append(await Client(reader, writer).ask(chat()))
    assert told[0] == told[1]
    assert told[0].startswith(b"HTTP/1.1 504")
    assert await records(pair.pumped) == await records(pair.plain)


async def test_a_stale_connection_costs_no_request(pair: Pair) -> None:
    await warm_one(pair, pair.pumped)
    pair.upstream.drop = True  # The next request of an old connection is met by a close.
    async with pair.pumped.connect() as (reader, writer):
        assert (await Client(reader, writer).ask(chat())).startswith(b"HTTP/1.1 200")


async def test_a_client_that_hangs_up_is_charged_what_was_made_for_it(pair: Pair) -> None:
    for host in (pair.pumped, pair.plain):
        await warm_one(pair, host)
        pair.upstream.hold = asyncio.Event()
        async with host.connect() as (_, writer):
            writer.write(chat())
            await pair.upstream.asked.wait()
        while host.worker.clients is not None and host.worker.clients.busy:
            await asyncio.sleep(0.005)
        pair.upstream.hold.set()
        await host.quiet()
        pair.upstream.hold = None
    assert await records(pair.pumped) == await records(pair.plain)
    finishes = [record["finish"] for record in await records(pair.pumped) if record["record"] == "Settled"]
    assert finishes == ["completed", "disconnected"]


async def test_a_next_request_that_comes_early_waits_for_its_turn(pair: Pair) -> None:
    await warm(pair, "same")
    for host in (pair.pumped, pair.plain):
        async with host.connect() as (reader, writer):
            client = Client(reader, writer)
            await client.send(chat() * 3)
            await client.send(chat())
            assert len({await client.answer() for _ in range(4)}) == 1
    assert await records(pair.pumped) == await records(pair.plain)


def in_pieces(size: int, model: str = "same") -> bytes:
    body = whole(model)
    return in_chunks([body[at : at + size] for at in range(0, len(body), size)])


CHUNKED = {  # Each with whether a lane carries it.
    "one chunk": (in_pieces(10_000), True),
    "many chunks": (in_pieces(7), True),
    "a chunk a byte": (in_pieces(1), False),
    "zeros before a size": (in_pieces(10_000).replace(b"chunked\r\n\r\n", b"chunked\r\n\r\n0000"), True),
    "a size in capitals": (in_chunks([whole("same").ljust(0xAB)[:0xAB], whole("same").ljust(0xAB)[0xAB:]]), True),
    "an extension": (in_pieces(10_000).replace(b"\r\n0\r\n", b"\r\n0;a=b\r\n"), False),
    "a trailer": (in_chunks([whole("same")], trailer=b"x-a: b\r\n"), False),
    "no end": (in_pieces(50)[:-5], False),
    "a size that is none": (in_pieces(50).replace(b"\r\n32\r\n", b"\r\n0x32\r\n", 1), False),
    "a signed size": (in_pieces(50).replace(b"\r\n32\r\n", b"\r\n+32\r\n", 1), False),
    "a chunk that is longer": (in_pieces(50).replace(b"\r\n32\r\n", b"\r\n31\r\n", 1), False),
    "more behind it": (in_pieces(50) + b"HTTP/1.1 200 OK\r\n", False),
    "nothing": (in_chunks([]), False),
    "a length, too": (in_pieces(50).replace(b"transfer", b"content-length: 3\r\ntransfer"), False),
    "twice": (in_pieces(50).replace(b"transfer", b"transfer-encoding: chunked\r\ntransfer"), False),
}


@pytest.mark.parametrize("form", CHUNKED)
async def test_an_answer_in_chunks_is_that_of_python_wherever_it_is_cut(pair: Pair, form: str) -> None:
    answer, carried = CHUNKED[form]
    await warm(pair, "same")
    for cut in (0, 1, *range(30, len(answer), 1 if carried and form == "many chunks" else 29)):
        told = []
        for host in (pair.plain, pair.pumped):
            pair.upstream.answer, pair.upstream.cut = with_length(whole("same")), 0
            async with host.connect() as (reader, writer):
                client = Client(reader, writer)
                await client.ask(chat())  # A connection to the upstream rests.
                pair.upstream.answer, pair.upstream.cut = answer, cut
                pair.upstream.closes = not carried  # Who waits for more is told that nothing comes.
                before = pair.carried
                told.append(await client.ask(chat()))
                pair.upstream.closes = False
        assert told[0] == told[1], f"cut at {cut}"
        assert (pair.carried > before) == carried, f"cut at {cut}"
    assert await records(pair.pumped) == await records(pair.plain)


async def test_an_upstreams_name_for_its_model_is_replaced_wherever_it_stands_first(pair: Pair) -> None:
    """Also where an answer has it deep down alone, which a lane leaves to Python."""
    await warm(pair, "other")
    body = whole("upstream-name")
    deep = body.replace(b'"model": "upstream-name", ', b"").replace(b'{"index"', b'{"model": "upstream-name", "index"')
    assert deep != body
    pair.upstream.answer = with_length(deep)
    told = []
    for host in (pair.plain, pair.pumped):
        async with host.connect() as (reader, writer):
            told.append(await Client(reader, writer).ask(chat("other")))
    assert told[0] == told[1]
    assert b"upstream-name" not in told[1]


async def test_a_price_holds_from_its_moment_on(pair: Pair) -> None:
    await warm(pair, "same")
    at_us = now_us() + 400_000
    rules = (Rule("input", 900_000), Rule("cached_input", 900_000), Rule("output", 900_000))
    content = gateway_host.snapshot({"same": [Target("tgt_same", "same", pair.upstream.base_url, "same")]})
    dear = PriceVersion("dear", "same", "USD", at_us, rules)
    pair.pumped.worker.use(State(msgspec.structs.replace(content, prices=(*content.prices, dear)), b"\0" * 32))
    async with pair.pumped.connect() as (reader, writer):
        client = Client(reader, writer)
        while now_us() < at_us:
            assert (await client.ask(chat())).startswith(b"HTTP/1.1 200")
        assert (await client.ask(chat())).startswith(b"HTTP/1.1 200")
    await pair.pumped.quiet()
    charges = [record for record in pair.pumped.settled() if record.started_us > at_us - 390_000]
    assert {charge.price_version for charge in charges} == {"price_same", "dear"}
    assert all((charge.price_version == "dear") == (charge.started_us >= at_us) for charge in charges)
    assert pair.carried > len(charges) // 2


async def test_a_price_that_no_word_could_hold_is_left_to_python(pair: Pair) -> None:
    await warm(pair, "same")
    rules = (Rule("input", 10**17), Rule("output", 10**17))
    content = gateway_host.snapshot({"same": [Target("tgt_same", "same", pair.upstream.base_url, "same")]})
    dear = msgspec.structs.replace(content, prices=(PriceVersion("dear", "same", "USD", 0, rules),))
    told = []
    for host in (pair.pumped, pair.plain):
        host.worker.use(State(dear, b"\0" * 32))
        async with host.connect() as (reader, writer):
            told.append(await Client(reader, writer).ask(chat()))
    assert told[0] == told[1]
    assert told[0].startswith(b"HTTP/1.1 402")


async def test_strangers_drive_nobody_out(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    await warm(pair, "same")
    assert pair.pumped.worker.lanes is not None
    asked: list[bytes] = []
    monkeypatch.setattr(type(pair.pumped.worker.lanes), "lane", lambda _, caller, model: asked.append(caller))
    async with pair.pumped.connect() as (reader, writer):
        client = Client(reader, writer)
        for number in range(20):
            answer = await client.ask(request(BODIES["usual"], key=f"ak-{number}"))
            assert answer.startswith(b"HTTP/1.1 401")
    assert asked == []


async def test_a_connection_that_rested_may_be_slow_with_its_next_body(pair: Pair) -> None:
    await warm(pair, "same")
    pair.pumped.limits(msgspec.structs.replace(pair.pumped.worker.settings, idle_timeout_s=0.5, body_timeout_s=5.0))
    async with pair.pumped.connect() as (reader, writer):
        client = Client(reader, writer)
        assert (await client.ask(chat(stop="x"))).startswith(b"HTTP/1.1 200")  # By the protocol, which then rests.
        writer.write(chat()[:-20])
        await asyncio.sleep(1.2)  # Longer than it may rest, not longer than a body may take.
        assert (await client.ask(chat()[-20:])).startswith(b"HTTP/1.1 200")


async def test_a_new_snapshot_makes_new_lanes(pair: Pair) -> None:
    await warm(pair, "same")
    async with pair.pumped.connect() as (reader, writer):
        client = Client(reader, writer)
        assert (await client.ask(chat())).startswith(b"HTTP/1.1 200")
        without = msgspec.structs.replace(gateway_host.snapshot({"same": []}), keys={}, version=2)
        pair.pumped.worker.use(State(without, b"\0" * 32))
        assert (await client.ask(chat())).startswith(b"HTTP/1.1 401")

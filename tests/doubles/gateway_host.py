"""A gateway worker inside a test's own event loop: real journal, real lease words, a snapshot made by hand.

Nothing of the control plane runs; what it would have published is written here.
"""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from arkwright.basics.ids import secret_sha256
from arkwright.basics.settings import Settings
from arkwright.domain import journal
from arkwright.domain.catalog import Model, Target, Traits
from arkwright.domain.pricing import PriceVersion, Rule
from arkwright.domain.snapshot import Snapshot
from arkwright.domain.tenancy import Key, Organization
from arkwright.gateway import lanes
from arkwright.gateway import pump as pumps
from arkwright.gateway.charging import Charging
from arkwright.gateway.connection import Connection
from arkwright.gateway.fleet import Fleet
from arkwright.gateway.lots import Lots
from arkwright.gateway.router import check, route
from arkwright.gateway.state import State
from arkwright.gateway.worker import Worker
from arkwright.host.leases import LeaseWords
from arkwright.store.journal import Writer, open_journal
from tests.doubles.journals import records_in

UNIT = 10**12
PREPAID, POSTPAID = "ak-prepaid", "ak-postpaid"
SCOPED, DISABLED, EXPIRED, UNPRICED = "ak-scoped", "ak-disabled", "ak-expired", "ak-euro"
OVERDUE = "ak-overdue"
LLAMA = Traits(
    usage_source="engine",
    counts_choices=False,
    enforces_tool_choice=False,
    progress="timings",
    on_disconnect="stop",
    legacy_logprobs=False,
    refuses=("echo", "image_url"),
)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        data = [line[6:] for line in self.body.decode().split("\n") if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in data]


@dataclass
class GatewayHost:
    """`await host.post(…)`; `host.settled()` reads back what the journal has."""

    worker: Worker
    words: LeaseWords
    lot_words: LeaseWords
    writer: Writer
    journal_dir: Path
    port: int
    _made: list[Settings]
    content: Snapshot
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @asynccontextmanager
    async def connect(self, limit: int = 2**16) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def call(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        async with self.connect() as (reader, writer):
            writer.write(head(method, path, {"content-length": str(len(body)), **(headers or {})}) + body)
            return await read_answer(reader, method)

    async def post(self, path: str, body: dict[str, Any], key: str = POSTPAID) -> Answer:
        return await self.call("POST", path, json.dumps(body).encode(), {"authorization": f"Bearer {key}"})

    async def chat(self, model: str = "mock", key: str = POSTPAID, **fields: Any) -> Answer:
        messages = [{"role": "user", "content": "hello"}]
        return await self.post("/v1/chat/completions", {"model": model, "messages": messages} | fields, key)

    def records(self) -> list[journal.Record]:
        return records_in(self.journal_dir)

    def settled(self) -> list[journal.Settled]:
        return [record for record in self.records() if isinstance(record, journal.Settled)]

    def limits(self, settings: Settings) -> None:
        """Other settings for the connections made from now on."""
        self._made[0] = settings
        if self.worker.clients is not None:
            self.worker.clients.heed(settings)

    def held(self) -> int:
        return self.words.held(0)

    async def quiet(self) -> None:
        """Until no request is under way; fails after ten seconds."""
        async with asyncio.timeout(10):
            while self.worker.forwards:
                await asyncio.sleep(0.005)
        done = asyncio.Event()
        self.writer.append(journal.encode(journal.Voided(b"\0" * 16, 0, "", 0, "barrier")), done.set)
        await done.wait()
        self.worker.charging.permits.flush()

    def voided(self) -> list[journal.Voided]:
        """Requests that were billed nothing."""
        found = [record for record in records_in(self.journal_dir) if isinstance(record, journal.Voided)]
        return [record for record in found if record.reason != "barrier"]


def head(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: test", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def read_answer(reader: asyncio.StreamReader, method: str = "GET") -> Answer:
    async with asyncio.timeout(20):
        raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in raw[1:] if line)
        status = int(raw[0].split(" ")[1])
        if method == "HEAD" or status in (100, 204, 304):
            return Answer(status, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(await reader.readline(), 16):
                parts.append(await reader.readexactly(size))
                await reader.readline()
            await reader.readline()
            return Answer(status, headers, b"".join(parts))
        if "content-length" in headers:
            return Answer(status, headers, await reader.readexactly(int(headers["content-length"])))
        return Answer(status, headers, await reader.read())


def snapshot(models: dict[str, list[Target]], context_tokens: int = 32_768) -> Snapshot:
    organizations = {
        "org_pre": Organization("org_pre", "pre", "external", "cars", "prepaid", "USD", 0),
        "org_post": Organization("org_post", "post", "external", "cars", "postpaid", "USD", 1),
        "org_euro": Organization("org_euro", "euro", "external", "cars", "postpaid", "EUR", 2),
        "org_late": Organization("org_late", "late", "external", "cars", "postpaid", "USD", 3, overdue=True),
    }
    keys = {
        secret_sha256(PREPAID): Key("key_pre", "org_pre", "prj_pre"),
        secret_sha256(POSTPAID): Key("key_post", "org_post", "prj_post"),
        secret_sha256(SCOPED): Key("key_scoped", "org_post", "prj_post", models=frozenset({"other"})),
        secret_sha256(DISABLED): Key("key_off", "org_post", "prj_post", disabled=True),
        secret_sha256(EXPIRED): Key("key_old", "org_post", "prj_post", expires_at_us=1),
        secret_sha256(UNPRICED): Key("key_euro", "org_euro", "prj_euro"),
        secret_sha256(OVERDUE): Key("key_late", "org_late", "prj_late"),
    }
    rules = (Rule("input", 250_000), Rule("cached_input", 50_000), Rule("output", 2_000_000))
    return Snapshot(
        version=1,
        built_at_us=0,
        organizations=organizations,
        keys=keys,
        models={
            name: Model(
                f"mod_{name}",
                name,
                "embedding" if name == "vectors" else "chat",
                0,
                context_tokens,
                None,
                "t",
                tuple(targets),
            )
            for name, targets in models.items()
        },
        prices=tuple(PriceVersion(f"price_{name}", name, "USD", 0, rules) for name in models),
    )


class InOrder(Random):
    """Chance that leaves things as they are: of targets that are equals, the first is asked first."""

    def getrandbits(self, k: int) -> int:
        return 0

    def sample(self, population: Any, k: int, *, counts: Any = None) -> list[Any]:
        return list(population[:k])


async def start(tmp_path: Path, content: Snapshot, *, in_order: bool = True, **settings: Any) -> GatewayHost:
    """A worker that listens on a free port. Stop it with `stop`. `in_order`: see InOrder."""
    loop = asyncio.get_running_loop()
    pump = os.environ.get("ARKWRIGHT_PUMP", "on")
    given = {"data_dir": str(tmp_path), "drain_timeout_s": 5.0, "pump": pump, **settings}
    made = Settings(**given)
    made.paths.make()
    words = LeaseWords.create(made.paths.lease_words, 1, rows=16, slots=4)
    words.ready = True
    lot_words = LeaseWords.create(made.paths.lot_words, 1, rows=16, slots=4)
    slot = words.claim_slot(os.getpid(), "w_test")
    lots = Lots(lot_words, lot_words.claim_slot(os.getpid(), "w_test"))
    writer = open_journal(
        made.paths.journal,
        incarnation="w_test",
        host="host_test",
        slot=slot.index,
        segment_bytes=made.segment_bytes,
        call_soon_threadsafe=loop.call_soon_threadsafe,
    )
    worker = Worker(loop, made, words, slot, Charging(writer, slot, lots))
    if in_order:
        worker.fleet = Fleet(loop.time, worker.queue.freed, worker.breaker_moved, InOrder())
    worker.use(State(content, b"\0" * 32))
    current = [made]

    def connection() -> Connection:
        return Connection(
            loop,
            lambda exchange: route(worker, exchange),
            lambda exchange: check(worker, exchange),
            worker.answered,
            current[0],
            worker.connections,
        )

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server: asyncio.Server | pumps.Listener = lanes.listen(worker, listener, connection) or await loop.create_server(
        connection, sock=listener
    )
    host = GatewayHost(worker, words, lot_words, writer, made.paths.journal, port, current, content)

    async def sweep() -> None:
        while True:
            await asyncio.sleep(0.05)
            worker.sweep()

    host.tasks.append(asyncio.create_task(sweep()))
    host.tasks.append(asyncio.create_task(_until_cancelled(server)))
    return host


async def stop(host: GatewayHost) -> None:
    for task in host.tasks:
        task.cancel()
    await asyncio.gather(*host.tasks, return_exceptions=True)
    host.worker.close()
    host.writer.close()
    await asyncio.sleep(0.05)  # Aborted transports close in the next turns of the loop.
    host.words.close()
    host.lot_words.close()


async def _until_cancelled(server: asyncio.Server | pumps.Listener) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        server.close()

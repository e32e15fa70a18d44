"""Traffic on a whole platform while its processes are killed one by one; afterwards every token and pico must add up.

What the customer can prove: each answer that arrived whole carries a request id, and that id is charged exactly once.
"""

import asyncio
import contextlib
import json
import random
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from arkwright.basics.paths import DataDir
from arkwright.host import supervisor_client
from arkwright.store.embedded import postmaster
from tests.contract.platforms import Platform, running_platform
from tests.doubles.gateway_host import head, read_answer
from tests.doubles.journals import records_in
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = pytest.mark.anyio

KEY = "ak-traffic-0123456789abcdef0123456789abcdef"
TOP_UP = "5.00"
CLIENTS = 24
ROUNDS = ("gateway-0", "control", "gateway-1", "postgres", "control", "gateway-0", "supervisor", "gateway-1")
DECLARED = """
[[providers]]
name = "upstream"
kind = "openai_compatible"
base_url = "{base_url}"
api_key = "sk-upstream"

[[models]]
name = "whole"
provider = "upstream"
upstream_name = "mock;prompt=100;cached=20;tokens=10"
context_tokens = 32768

[[models]]
name = "streamed"
provider = "upstream"
upstream_name = "mock;prompt=100;cached=20;tokens=10;gap_ms=5"
context_tokens = 32768

[[prices]]
model = "whole"
currency = "USD"
input_per_million = "0.25"
cached_input_per_million = "0.05"
output_per_million = "2.00"

[[prices]]
model = "streamed"
currency = "USD"
input_per_million = "0.25"
cached_input_per_million = "0.05"
output_per_million = "2.00"

[[organizations]]
name = "acme"
class = "external"
industry = "automotive"
billing = "prepaid"
top_up = "{top_up}"

[[keys]]
organization = "acme"
project = "default"
secret = "{key}"
"""
CHARGE_PICO = 80 * 250_000 + 20 * 50_000 + 10 * 2_000_000


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform("--workers", "2", "--model", "none") as made:
        yield made


@dataclass
class Traffic:
    """Clients that ask again and again; what they received whole, and how many attempts broke."""

    port: int
    acknowledged: list[str] = field(default_factory=list)
    broken: int = 0
    stopping: bool = False

    async def client(self, number: int) -> None:
        while not self.stopping:
            streamed = number % 2 == 0
            body = json.dumps(
                {
                    "model": "streamed" if streamed else "whole",
                    "stream": streamed,
                    "max_tokens": 10,
                    "messages": [{"role": "user", "content": "x" * 200}],
                }
            ).encode()
            try:
                self.acknowledged.append(await self._ask(body))
            except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
                self.broken += 1
                await asyncio.sleep(0.05)

    async def _ask(self, body: bytes) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            headers = {"authorization": f"Bearer {KEY}", "content-length": str(len(body))}
            writer.write(head("POST", "/v1/chat/completions", headers) + body)
            answer = await read_answer(reader)
            if answer.status != 200 or (b'"stream": true' in body and not answer.body.endswith(b"data: [DONE]\n\n")):
                raise ValueError(f"status {answer.status}")
            return answer.headers["x-request-id"]
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def victim(platform: Platform, name: str) -> psutil.Process | None:
    paths = DataDir(Path(platform.data_dir))
    if name == "postgres":
        return postmaster(paths.postgres)
    if name == "supervisor":
        return psutil.Process(json.loads(paths.supervisor_state.read_bytes())["pid"])
    with contextlib.suppress(Exception):
        found = {process.name: process for process in supervisor_client.processes(paths.supervisor_socket)}
        if found[name].pid and found[name].ready:
            return psutil.Process(found[name].pid)
    return None


async def kill(platform: Platform, name: str) -> None:
    """Wait until it runs, then `kill -9`."""
    async with asyncio.timeout(40):
        while (process := await asyncio.to_thread(victim, platform, name)) is None:
            await asyncio.sleep(0.1)
    process.send_signal(signal.SIGKILL)


async def more(traffic: Traffic, answers: int) -> None:
    """Until so many further answers arrived: the service is back."""
    wanted = len(traffic.acknowledged) + answers
    async with asyncio.timeout(60):
        while len(traffic.acknowledged) < wanted:
            await asyncio.sleep(0.02)


async def bill(platform: Platform) -> Any:
    return await asyncio.to_thread(platform.cli_json, "bill", "--organization", "acme")


async def test_whatever_is_killed_each_answer_is_charged_once(platform: Platform, tmp_path: Path) -> None:
    async with OpenAIUpstream() as upstream:
        declared = tmp_path / "platform.toml"
        declared.write_text(DECLARED.format(base_url=upstream.base_url, key=KEY, top_up=TOP_UP))
        await asyncio.to_thread(platform.cli, "apply", str(declared))
        traffic = Traffic(urlsplit(platform.base_url).port or 0)
        clients = [asyncio.create_task(traffic.client(number)) for number in range(CLIENTS)]
        await more(traffic, 50)
        for name in ROUNDS:
            await asyncio.sleep(random.uniform(0, 0.2))
            await kill(platform, name)
            await more(traffic, 60)
        traffic.stopping = True
        await asyncio.gather(*clients)
    async with asyncio.timeout(60):
        while (billed := await bill(platform))["held"] != "0.00":
            await asyncio.sleep(0.2)
    settled = [
        record for record in records_in(DataDir(Path(platform.data_dir)).journal) if type(record).__name__ == "Settled"
    ]
    charged = [f"req_{record.event_id.hex()}" for record in settled]  # type: ignore[union-attr]
    assert len(traffic.acknowledged) >= 60 * len(ROUNDS)
    assert traffic.broken > 0, "nothing was ever interrupted"
    assert len(set(traffic.acknowledged)) == len(traffic.acknowledged)
    assert set(traffic.acknowledged) <= set(charged)
    assert len(set(charged)) == len(charged) == billed["charges"]
    # Whole answers and streams cost the same, also those whose client was cut off by a kill of ours.
    assert {record.amount_pico for record in settled} == {CHARGE_PICO}  # type: ignore[union-attr]
    assert pico(billed["charged"]) == CHARGE_PICO * len(charged)
    assert pico(billed["balance"]) == pico(TOP_UP) - pico(billed["charged"])
    assert (billed["input_tokens"], billed["cached_input_tokens"], billed["output_tokens"]) == (
        80 * len(charged),
        20 * len(charged),
        10 * len(charged),
    )
    usage = await asyncio.to_thread(platform.cli_json, "usage")
    assert sum(row["requests"] for row in usage["data"]) == billed["charges"]
    audit = await asyncio.to_thread(platform.cli, "audit", "verify")
    assert "Everything agrees" in audit.stdout


def pico(decimal: str) -> int:
    whole, _, fraction = decimal.partition(".")
    return int(whole) * 10**12 + int(fraction.ljust(12, "0"))

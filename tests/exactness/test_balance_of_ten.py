"""Five hundred streams at once on a whole platform, on a balance worth exactly ten of them, through four gateways.

Here a hold is half as much again as what an answer costs in the end, so what is given back must find its way to those
who wait: nine or ten are served to their end. What can be stopped uses up the rest of the balance, and says so.
"""

import asyncio
import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from arkwright.basics.money import decimal_from_pico, pico_from_decimal
from arkwright.basics.paths import DataDir
from arkwright.domain import snapshot as snapshots
from arkwright.host.leases import LeaseWords
from arkwright.host.limit_words import locks
from tests.contract.platforms import Platform, running_platform
from tests.doubles.gateway_host import Answer, head, read_answer
from tests.doubles.journals import records_in
from tests.doubles.openai_upstream import OpenAIUpstream

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("balance of ten")]

STREAMS, WORTH = 500, 10
PROMPT, TOKENS, TOKENS_MAX = 10, 20, 25
COST_PICO = PROMPT * 250_000 + TOKENS * 2_000_000
DECLARED = """
[[providers]]
name = "drained"
base_url = "{base_url}"

[[providers]]
name = "stopped"
base_url = "{base_url}"
options = {{ on_disconnect = "stop", progress = "timings" }}
"""
DECLARED_EACH = """
[[models]]
name = "{name}"
provider = "{name}"
upstream_name = "mock;prompt=10;tokens=20;gap_ms=10"
context_tokens = 32768

[[prices]]
model = "{name}"
currency = "USD"
input_per_million = "0.25"
output_per_million = "2.00"

[[organizations]]
name = "{name}"
billing = "prepaid"
top_up = "{top_up}"

[[keys]]
organization = "{name}"
secret = "ak-balance-of-ten-{name}"
"""


@pytest.fixture(scope="module")
def ten_platform() -> Iterator[Platform]:
    with running_platform("--workers", "4", "--model", "none") as platform:
        yield platform


async def ask(port: int, model: str, begin: asyncio.Event) -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await begin.wait()
        asked: dict[str, Any] = {"model": model, "max_tokens": TOKENS_MAX, "stream": True}
        body = json.dumps(asked | {"messages": [{"role": "user", "content": "x"}]}).encode()
        headers = {"authorization": f"Bearer ak-balance-of-ten-{model}", "content-length": str(len(body))}
        writer.write(head("POST", "/v1/chat/completions", headers) + body)
        return await read_answer(reader)
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def watch(words: LeaseWords, row: int) -> None:
    """For ever: at no moment is more promised than there is. Under the lock: a settlement is seen whole, or not yet."""
    lock, unlock = locks(row)
    while True:
        fcntl.fcntl(words._fd, fcntl.F_OFD_SETLKW, lock)
        try:
            assert words.reserved(row) <= words.ceiling(row) == WORTH * COST_PICO
        finally:
            fcntl.fcntl(words._fd, fcntl.F_OFD_SETLK, unlock)
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("model", ["drained", "stopped"])
async def test_a_balance_worth_ten_serves_ten(ten_platform: Platform, model: str) -> None:
    root = Path(ten_platform.data_dir)
    paths = DataDir(root)
    async with OpenAIUpstream() as upstream:
        text = DECLARED.format(base_url=upstream.base_url)
        text += DECLARED_EACH.format(name=model, top_up=decimal_from_pico(WORTH * COST_PICO))
        declared = root / f"{model}.toml"
        declared.write_text(text)
        await asyncio.to_thread(ten_platform.cli, "apply", str(declared))
        organizations = snapshots.decode(paths.snapshot.read_bytes()).organizations.values()
        (row,) = [one.lease_row for one in organizations if one.name == model]
        with LeaseWords.open(paths.lease_words) as words:
            watching = asyncio.create_task(watch(words, row))
            answers = await rush(urlsplit(ten_platform.base_url).port or 0, model)
            assert not watching.done(), "more was promised than there was"
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        bill = await asyncio.to_thread(ten_platform.cli_json, "bill", "--organization", model)
    judge(model, answers, bill)
    intents = [record for record in records_in(paths.journal) if type(record).__name__ == "Intent"]
    assert len([one for one in intents if one.model == model]) >= WORTH - 1  # type: ignore[union-attr]


async def rush(port: int, model: str) -> list[Answer]:
    begin = asyncio.Event()
    asking = [asyncio.create_task(ask(port, model, begin)) for _ in range(STREAMS)]
    await asyncio.sleep(0)
    begin.set()
    return await asyncio.gather(*asking)


def judge(model: str, answers: list[Answer], bill: Any) -> None:
    assert {answer.status for answer in answers} <= {200, 402}
    served = [answer.events for answer in answers if answer.status == 200]
    assert all(events[-1] == "[DONE]" for events in served)
    whole = sum(1 for events in served if '"finish_reason": "stop"' in json.dumps(events))
    assert WORTH - 1 <= whole <= WORTH, f"{whole} of {len(served)} were served to their end"
    assert bill["uncollected"] == "0.00"
    balance = pico_from_decimal(bill["balance"])
    assert pico_from_decimal(bill["charged"]) + balance == WORTH * COST_PICO
    assert pico_from_decimal(bill["held"]) == 0
    if model == "drained":
        assert (len(served), balance) == (whole, (WORTH - whole) * COST_PICO)
    else:
        # Too little is left for the prompt and the eight tokens that are worth beginning for.
        assert 0 <= balance < 60 * 250_000 + 8 * 2_000_000

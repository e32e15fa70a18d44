"""Five hundred streams at once on a balance worth ten, through four gateways: ten are served, and the balance is gone.

What is held is what the answer costs here (only output has a price, and all that was asked for is generated), so the
number served is exact. A hold that is decided in two steps serves more, and is found out.
"""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest

from arkwright.control.audit import verify
from arkwright.control.settler import Settler
from arkwright.domain.pricing import PriceVersion, Rule
from arkwright.host.leases import LeaseWords
from arkwright.store.database import Database
from tests.doubles.gateway_host import head, read_answer
from tests.exactness.scene import PREPAID, Scene
from tests.exactness.victims import HOST, Doom

pytestmark = pytest.mark.anyio

TOKENS = 20
OUTPUT_ONLY = PriceVersion("price_output", "some-model", "USD", 0, (Rule("input", 0), Rule("output", 10**9)))
COST_PICO = TOKENS * 10**9
WORTH, STREAMS, GATEWAYS = 10, 500, 4
REST_PICO = COST_PICO // 2  # Not enough for one more.


async def stream(port: int, begin: asyncio.Event) -> int:
    """The status of one whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await begin.wait()
        asked = {
            "model": "some-model",
            "max_tokens": TOKENS,
            "stream": True,
            "messages": [{"role": "user", "content": "x"}],
        }
        body = json.dumps(asked).encode()
        headers = {"authorization": f"Bearer {PREPAID}", "content-length": str(len(body))}
        writer.write(head("POST", "/v1/chat/completions", headers) + body)
        answer = await read_answer(reader)
        assert answer.status != 200 or answer.body.endswith(b"data: [DONE]\n\n")
        return answer.status
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def rush(database: Database, root: Path, streams: int, mutant: str = "") -> tuple[list[int], int, list[str]]:
    """Statuses, the balance that is left, and what the settler could not post or the audit found."""
    async with Scene(database, root, WORTH * COST_PICO + REST_PICO, OUTPUT_ONLY) as scene:
        scene.born("control", Doom())
        for number in range(GATEWAYS):
            scene.born(f"gateway-{number}", Doom(mutant=mutant))
        with LeaseWords.open(scene.paths.lease_words) as words:
            async with asyncio.timeout(30):
                while not words.ready or len(words.slots()) < GATEWAYS or not words.ceiling(0):
                    assert all(process.is_alive() for process in scene.lives.values()), scene.log_of("gateway-0")
                    await asyncio.sleep(0.02)
                begin = asyncio.Event()
                asked = [asyncio.create_task(stream(scene.port, begin)) for _ in range(streams)]
                await asyncio.sleep(0.3)  # Most are connected; it makes no difference to what must hold.
                begin.set()
                statuses = await asyncio.gather(*asked)
            assert words.reserved(0) == WORTH * COST_PICO or mutant
            assert words.held(0) == 0 or mutant
        for process in scene.lives.values():
            process.kill()
            process.join()
        settler = Settler(database, scene.paths.journal, host=HOST)
        await settler.catch_up()
        report = await verify(database, scene.paths.journal, host=HOST, settler=settler)
        async with database.connection() as connection:
            row = await (
                await connection.execute("SELECT balance_pico FROM ledger_account WHERE kind = 'prepaid'")
            ).fetchone()
        assert row is not None
        return statuses, row.balance_pico, [finding.name for finding in report.findings]


async def test_exactly_what_the_balance_is_worth_is_served(database: Database, tmp_path: Path) -> None:
    statuses, balance_pico, findings = await rush(database, tmp_path, STREAMS)
    assert sorted(set(statuses)) == [200, 402]
    assert statuses.count(200) == WORTH
    assert balance_pico == REST_PICO
    assert findings == []


async def test_a_hold_in_two_steps_is_found_out(database: Database, tmp_path: Path) -> None:
    statuses, _, findings = await rush(database, tmp_path, 100, mutant="check, then update")
    assert statuses.count(200) > WORTH, "the mutant passes for right"
    assert "journal-stalled" in findings, "more than the balance was posted"

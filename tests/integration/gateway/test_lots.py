"""Lots at the gateway: what a request reserves, draws and gives back, whatever becomes of it."""

import asyncio
import json
import re
from typing import Any

import msgspec
import pytest

from arkwright.basics.clock import now_us
from arkwright.domain.journal import Draw, Settled
from arkwright.domain.lots import INPUT_ITEMS, TOKEN_ITEMS, Lot
from arkwright.domain.snapshot import Snapshot
from arkwright.gateway.state import State
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, PREPAID, UNIT, GatewayHost, head

pytestmark = pytest.mark.anyio

GRANT = Lot("lot_grant", "org_pre", "grant", 0, items=TOKEN_ITEMS, models=frozenset({"mock", "slow"}))
PACK = Lot("lot_pack", "org_pre", "pack", 1, items=TOKEN_ITEMS, priority=200)
CREDIT = Lot("lot_credit", "org_pre", "credit", 2)
INPUT, OUTPUT = 250_000, 2_000_000  # The price of a token.


def give(host: GatewayHost, *lots: tuple[Lot, int], free_only: bool = False) -> None:
    """Serve by a snapshot with these lots, and let this host draw so much of each."""
    models = {name: list(model.targets) for name, model in host.worker.state.models.items()}
    made: Snapshot = gateway_host.snapshot(models)
    payers = {name: msgspec.structs.replace(payer, free_only=free_only) for name, payer in made.organizations.items()}
    content = msgspec.structs.replace(made, version=2, lots=tuple(lot for lot, _ in lots), organizations=payers)
    host.worker.use(State(content, b"\0" * 32))
    for lot, units in lots:
        host.lot_words.set_ceiling(lot.row, units)


def left(host: GatewayHost, lot: Lot) -> int:
    """What is left of it, when no request is under way."""
    assert host.lot_words.held(lot.row) == 0
    return host.lot_words.ceiling(lot.row) - host.lot_words.reserved(lot.row)


async def last(host: GatewayHost) -> Settled:
    await host.quiet()
    return host.settled()[-1]


async def test_a_grant_pays_for_a_customer_without_a_balance(gateway: GatewayHost) -> None:
    give(gateway, (GRANT, 1_000))
    answer = await gateway.chat(key=PREPAID, max_tokens=50)
    assert answer.status == 200
    record = await last(gateway)
    tokens = record.usage.all_input_tokens + record.usage.all_output_tokens
    assert tokens > 0
    assert (record.amount_pico, record.uncollected_pico, record.granted_pico) == (0, 0, 0)
    assert record.draws == (Draw("lot_grant", tokens),)
    assert {(line.lot, line.pico_per_unit) for line in record.lines} == {("lot_grant", 0)}
    assert [line.list_price_pico for line in record.lines] == [INPUT, OUTPUT]
    assert left(gateway, GRANT) == 1_000 - tokens
    refused = await gateway.chat("cached", key=PREPAID, max_tokens=50)
    assert (refused.status, refused.json["error"]["code"]) == (402, "insufficient_balance"), "another model's"
    assert left(gateway, GRANT) == 1_000 - tokens


async def test_what_the_grant_does_not_cover_is_held_and_paid_in_money(gateway: GatewayHost) -> None:
    give(gateway, (GRANT, 10))
    refused = await gateway.chat(key=PREPAID, max_tokens=50)
    assert refused.status == 402
    assert left(gateway, GRANT) == 10, "a refusal gives back what it had reserved"
    gateway.words.set_ceiling(0, UNIT)
    assert (await gateway.chat(key=PREPAID, max_tokens=50)).status == 200
    record = await last(gateway)
    assert record.draws == (Draw("lot_grant", 10),)
    paid = record.usage.all_input_tokens + record.usage.all_output_tokens - 10
    assert paid > 0
    assert sum(line.quantity for line in record.lines if not line.lot) == paid
    assert record.amount_pico == sum(line.quantity * line.list_price_pico for line in record.lines if not line.lot)
    assert gateway.words.reserved(0) == record.amount_pico
    assert gateway.words.held(0) == 0
    assert left(gateway, GRANT) == 0


async def test_lots_are_drawn_in_their_order_then_credit_then_money(gateway: GatewayHost) -> None:
    prompt = (await gateway.chat(key=POSTPAID, max_tokens=50)).json["usage"]["prompt_tokens"]
    give(gateway, (PACK, 1), (CREDIT, OUTPUT + 5), (GRANT, prompt + 1))
    gateway.words.set_ceiling(0, UNIT)
    assert (await gateway.chat(key=PREPAID, max_tokens=50)).status == 200
    record = await last(gateway)
    output = record.usage.all_output_tokens
    assert output > 4
    assert record.draws == (Draw("lot_grant", prompt + 1), Draw("lot_pack", 1), Draw("lot_credit", OUTPUT + 5))
    assert record.amount_pico == (output - 2) * OUTPUT
    assert record.granted_pico == OUTPUT + 5
    assert gateway.words.reserved(0) == record.amount_pico - record.granted_pico
    assert [left(gateway, lot) for lot in (GRANT, PACK, CREDIT)] == [0, 0, 0]


async def test_a_postpaid_customer_s_lots_count_too(gateway: GatewayHost) -> None:
    lot = msgspec.structs.replace(GRANT, organization_id="org_post")
    give(gateway, (lot, 1_000))
    assert (await gateway.chat(key=POSTPAID)).status == 200
    record = await last(gateway)
    assert (record.amount_pico, len(record.draws), record.prepaid) == (0, 1, False)


async def test_an_expiry_while_the_answer_is_under_way_changes_nothing(gateway: GatewayHost) -> None:
    soon = msgspec.structs.replace(GRANT, expires_us=now_us() + 250_000)
    give(gateway, (soon, 40_000))
    assert (await gateway.chat("slow", key=PREPAID, stream=True, max_tokens=30)).status == 200
    record = await last(gateway)
    assert soon.expires_us is not None
    assert record.started_us < soon.expires_us < record.ended_us
    assert record.amount_pico == 0
    assert len(record.draws) == 1
    assert (await gateway.chat("slow", key=PREPAID, max_tokens=30)).status == 402, "it has expired since"


@pytest.mark.parametrize("model", ["status-500", "unreachable", "garbage"])
async def test_what_costs_nothing_gives_everything_back(gateway: GatewayHost, model: str) -> None:
    give(gateway, (PACK, 50_000), (CREDIT, 1_000))
    assert (await gateway.chat(model, key=PREPAID, max_tokens=5)).status >= 500
    await gateway.quiet()
    assert (left(gateway, PACK), left(gateway, CREDIT)) == (50_000, 1_000)
    assert gateway.held() == 0


async def test_a_client_that_hangs_up_draws_what_was_generated(gateway: GatewayHost) -> None:
    give(gateway, (PACK, 50_000))
    body = json.dumps({"model": "engine", "stream": True, "messages": [{"role": "user", "content": "x"}]}).encode()
    async with gateway.connect() as (reader, writer):
        length = {"content-length": str(len(body)), "authorization": f"Bearer {PREPAID}"}
        writer.write(head("POST", "/v1/chat/completions", length) + body)
        for _ in range(8):
            await reader.readline()
        assert gateway.lot_words.held(PACK.row) > 50
    record = await last(gateway)
    assert record.finish == "disconnected"
    [draw] = record.draws
    assert 0 < draw.units < 100
    assert left(gateway, PACK) == 50_000 - draw.units


async def test_one_lot_for_many_at_once_is_never_overdrawn_and_used_up(gateway: GatewayHost) -> None:
    give(gateway, (GRANT, 500))
    answers = await asyncio.gather(*(gateway.chat(key=PREPAID, max_tokens=20) for _ in range(60)))
    await gateway.quiet()
    drawn = sum(draw.units for record in gateway.settled() for draw in record.draws)
    served = [answer.status for answer in answers]
    assert set(served) == {200, 402}
    assert sum(record.amount_pico for record in gateway.settled()) == 0
    one = gateway.settled()[0].draws[0].units
    assert drawn == served.count(200) * one == 500 - left(gateway, GRANT)
    assert left(gateway, GRANT) < one + 60, "less than the worst case of one more is left"


async def test_what_others_gave_back_meanwhile_is_drawn_before_money(gateway: GatewayHost) -> None:
    """Both reserve more than there is, so the second holds money; it need not spend it."""
    give(gateway, (GRANT, 100))
    gateway.words.set_ceiling(0, UNIT)
    slow = asyncio.create_task(gateway.chat("slow", key=PREPAID, stream=True, max_tokens=30))
    async with asyncio.timeout(10):
        while not gateway.lot_words.held(0):
            await asyncio.sleep(0.005)
    hog = asyncio.create_task(gateway.chat("mock", key=PREPAID, max_tokens=80))
    await asyncio.gather(slow, hog)
    await gateway.quiet()
    used = [(record.amount_pico, sum(draw.units for draw in record.draws)) for record in gateway.settled()]
    tokens = sum(record.usage.all_input_tokens + record.usage.all_output_tokens for record in gateway.settled())
    assert tokens < 100
    assert used == [(0, units) for _, units in used]
    assert left(gateway, GRANT) == 100 - tokens


async def test_an_upstream_that_breaks_its_word_draws_what_the_lot_has(gateway: GatewayHost) -> None:
    give(gateway, (PACK, 60_000))
    assert (await gateway.chat("greedy", key=PREPAID, max_tokens=5)).status == 200
    record = await last(gateway)
    assert record.usage.all_input_tokens == 100_000
    assert record.draws == (Draw("lot_pack", 60_000),)
    assert record.uncollected_pico == record.amount_pico == 40_000 * INPUT + 5 * OUTPUT
    assert left(gateway, PACK) == 0


async def test_a_lot_for_input_alone_spares_no_money_for_output(gateway: GatewayHost) -> None:
    lot = msgspec.structs.replace(PACK, items=INPUT_ITEMS)
    give(gateway, (lot, 50_000))
    refused = await gateway.chat(key=PREPAID, max_tokens=10)
    assert refused.status == 402
    gateway.words.set_ceiling(0, 10 * OUTPUT)
    assert (await gateway.chat(key=PREPAID, max_tokens=10)).status == 200
    record = await last(gateway)
    assert [line.item for line in record.lines if line.lot] == ["input"]


async def test_free_only_refuses_what_is_not_free(gateway: GatewayHost) -> None:
    give(gateway, (GRANT, 1_000), free_only=True)
    gateway.words.set_ceiling(0, UNIT)
    assert (await gateway.chat(key=PREPAID, max_tokens=50)).status == 200
    for key, model in ((PREPAID, "cached"), (POSTPAID, "mock")):
        refused = await gateway.chat(model, key=key, max_tokens=50)
        assert (refused.status, refused.json["error"]["code"]) == (402, "free_tokens_used_up")
    assert gateway.words.reserved(0) == 0
    give(gateway, (PACK, 60_000), free_only=True)
    assert (await gateway.chat("greedy", key=PREPAID, max_tokens=5)).status == 200
    record = await last(gateway)
    assert record.uncollected_pico == record.amount_pico > 0, "and never charges, whatever an upstream does"
    assert gateway.words.reserved(0) == 0


@pytest.mark.parametrize(("free_only", "reason"), [(False, "balance_exhausted"), (True, "free_tokens_used_up")])
async def test_an_answer_ends_where_the_grant_does(gateway: GatewayHost, free_only: bool, reason: str) -> None:
    """An engine can be stopped, so a slice is reserved, and more as it is used; there is no money at all."""
    prompt = (await gateway.chat("engine-long", max_tokens=1)).json["usage"]["prompt_tokens"]
    most_read = await most_read_of(gateway)
    give(gateway, (PACK, most_read + 20), free_only=free_only)
    answer = await gateway.chat("engine-long", key=PREPAID, stream=True)
    assert answer.status == 200
    record = await last(gateway)
    assert reason in answer.body.decode()
    assert record.finish == "balance_exhausted"
    assert record.usage.all_input_tokens == prompt
    assert 20 <= record.usage.all_output_tokens < 400, (
        "what the prompt was shorter than its worst is used for the answer"
    )
    assert (record.amount_pico, record.uncollected_pico) == (0, 0)
    assert sum(draw.units for draw in record.draws) == prompt + record.usage.all_output_tokens
    assert left(gateway, PACK) == most_read + 20 - prompt - record.usage.all_output_tokens


async def most_read_of(host: GatewayHost) -> int:
    """The input that is reserved for the request of these tests, as a refusal tells it."""
    refused = await host.chat("engine", key=PREPAID, max_tokens=1)
    found = re.search(r"\((\d+) input and 1 output", refused.json["error"]["message"])
    assert found is not None
    return int(found.group(1))


async def test_without_words_nothing_is_drawn(gateway: GatewayHost) -> None:
    give(gateway, (GRANT, 0))
    lots: Any = gateway.worker.charging.lots
    gateway.worker.charging.lots = None
    gateway.words.set_ceiling(0, UNIT)
    assert (await gateway.chat(key=PREPAID, max_tokens=50)).status == 200
    assert (await last(gateway)).draws == ()
    gateway.worker.charging.lots = lots

"""Reserved throughput at the gateway: what fits is free, the rest is charged by the book or refused."""

import asyncio

import msgspec
import pytest

from arkwright.basics.clock import now_us
from arkwright.domain.lots import TOKEN_ITEMS, Lot
from arkwright.domain.reservations import Reservation
from arkwright.gateway.state import State
from tests.doubles import gateway_host
from tests.doubles.gateway_host import PREPAID, UNIT, GatewayHost

pytestmark = pytest.mark.anyio

RESERVED = Reservation("rsv_a", "org_pre", "mock", 7, 8, 10_000, 100, "payg", 0, 2**60)
REJECTING = msgspec.structs.replace(RESERVED, overflow="reject")


def reserve(host: GatewayHost, *reservations: Reservation, lots: tuple[Lot, ...] = ()) -> None:
    """Serve by a snapshot with these."""
    models = {name: list(model.targets) for name, model in host.worker.state.models.items()}
    content = msgspec.structs.replace(
        gateway_host.snapshot(models), version=2, reservations=tuple(reservations), lots=lots
    )
    host.worker.use(State(content, b"\0" * 32))


def counted(host: GatewayHost, row: int) -> int:
    return host.words.limits.used(row, now_ns=host.worker.charging.permits.clock(), day=0, month=0).tokens


async def test_what_fits_is_covered_and_counted_by_what_was_used(gateway: GatewayHost) -> None:
    reserve(gateway, RESERVED)
    answer = await gateway.chat(key=PREPAID, max_tokens=60)
    assert (answer.status, answer.headers["x-service-tier"]) == (200, "reserved")
    await gateway.quiet()
    [record] = gateway.settled()
    assert {(line.lot, line.pico_per_unit) for line in record.lines} == {("rsv_a", 0)}
    assert [line.list_price_pico for line in record.lines] == [250_000, 2_000_000]
    assert (record.amount_pico, record.draws) == (0, ())
    assert counted(gateway, 7) == record.usage.all_input_tokens
    assert counted(gateway, 8) == record.usage.all_output_tokens
    # Room for the worst case of 60 once more, though the worst case of both would be beyond 100.
    assert (await gateway.chat(key=PREPAID, max_tokens=60)).status == 200


async def test_what_does_not_fit_is_charged_by_the_book(gateway: GatewayHost) -> None:
    reserve(gateway, RESERVED)
    refused = await gateway.chat(key=PREPAID, max_tokens=101)
    assert (refused.status, refused.json["error"]["code"]) == (402, "insufficient_balance")
    gateway.words.set_ceiling(0, UNIT)
    answer = await gateway.chat(key=PREPAID, max_tokens=101)
    assert answer.status == 200
    assert "x-service-tier" not in answer.headers
    await gateway.quiet()
    [record] = gateway.settled()
    assert record.amount_pico > 0
    assert {line.lot for line in record.lines} == {""}
    assert (counted(gateway, 7), counted(gateway, 8)) == (0, 0)
    other = await gateway.chat("cached", key=PREPAID, max_tokens=60)
    assert "x-service-tier" not in other.headers, "of another model"


async def test_or_is_refused_with_the_time_to_wait(gateway: GatewayHost) -> None:
    reserve(gateway, REJECTING)
    gateway.words.set_ceiling(0, UNIT)
    first = await gateway.chat(key=PREPAID, max_tokens=97)
    assert first.status == 200
    await gateway.quiet()
    refused = await gateway.chat(key=PREPAID, max_tokens=97)
    assert (refused.status, refused.json["error"]["code"]) == (429, "reservation_exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert "try again in" in refused.json["error"]["message"]
    never = await gateway.chat(key=PREPAID, max_tokens=101)
    assert never.status == 429
    assert "never fit" in never.json["error"]["message"]
    assert gateway.words.reserved(0) == 0
    assert (await gateway.chat(key=PREPAID, max_tokens=20)).status == 200, "a refusal counted nothing"


async def test_what_costs_nothing_counts_nothing(gateway: GatewayHost) -> None:
    reserve(gateway, msgspec.structs.replace(REJECTING, model="status-500"))
    for _ in range(3):
        assert (await gateway.chat("status-500", key=PREPAID, max_tokens=60)).status >= 500
    await gateway.quiet()
    assert (counted(gateway, 7), counted(gateway, 8)) == (0, 0)


async def test_many_at_once_get_no_more_than_is_reserved(gateway: GatewayHost) -> None:
    reserve(gateway, REJECTING)
    answers = await asyncio.gather(*(gateway.chat(key=PREPAID, max_tokens=20) for _ in range(40)))
    await gateway.quiet()
    statuses = [answer.status for answer in answers]
    assert set(statuses) == {200, 429}
    covered = sum(line.quantity for record in gateway.settled() for line in record.lines if line.item == "output")
    assert 0 < covered == counted(gateway, 8) <= 100
    assert sum(record.amount_pico for record in gateway.settled()) == 0


async def test_never_more_than_was_counted_is_covered(gateway: GatewayHost) -> None:
    """An upstream that breaks its word: the rest is drawn from a lot, or paid."""
    lot = Lot("lot_a", "org_pre", "pack", 0, items=TOKEN_ITEMS)
    reserve(gateway, msgspec.structs.replace(RESERVED, model="greedy"), lots=(lot,))
    gateway.lot_words.set_ceiling(0, 50_000)
    assert (await gateway.chat("greedy", key=PREPAID, max_tokens=5)).status == 200
    await gateway.quiet()
    [record] = gateway.settled()
    by_lot = {line.lot: line.quantity for line in record.lines if line.item == "input"}
    assert 0 < by_lot["rsv_a"] == counted(gateway, 7) < 10_000
    assert by_lot["lot_a"] == 50_000 == record.draws[0].units
    assert sum(by_lot.values()) == 100_000 == record.usage.all_input_tokens
    assert record.uncollected_pico == record.amount_pico > 0


async def test_it_holds_from_when_until_when(gateway: GatewayHost) -> None:
    for changed in (
        msgspec.structs.replace(RESERVED, valid_from_us=now_us() + 10**9),
        msgspec.structs.replace(RESERVED, until_us=now_us()),
        msgspec.structs.replace(RESERVED, organization_id="org_post"),
    ):
        reserve(gateway, changed)
        assert (await gateway.chat(key=PREPAID, max_tokens=60)).status == 402

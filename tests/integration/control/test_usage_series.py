"""Series of usage: the same as adding everything up, for each split and grain; times within their bound; reconciled."""

import itertools
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from arkwright.basics.clock import datetime_from_us, now_us
from arkwright.basics.errors import InvalidInput
from arkwright.basics.money import decimal_from_pico
from arkwright.control import rerating, usage_series
from arkwright.control.rerating import RerateSpec
from arkwright.domain import journal as records
from arkwright.store import pricing
from arkwright.store import usage_series as store
from arkwright.store.hours import Hours, after, floor, grain_of, moments, pieces, whole_hours
from tests.doubles.money import PRICE, Worker, add_organization, add_price
from tests.doubles.requests import mixed
from tests.integration.control.conftest import Admin
from tests.integration.control.test_requests import HOUR_US, facts

pytestmark = pytest.mark.anyio

DAYS = 70


class Scene:
    def __init__(self, admin: Admin) -> None:
        self.platform = admin.platform
        self.admin = admin
        self.worker = Worker(admin.platform.settings.paths.journal, admin.platform.words)
        chance = random.Random(3)
        self.until_us = now_us()
        since_us = self.until_us - DAYS * 24 * HOUR_US
        self.written = mixed(chance, ("org_a", "org_b"), since_us, self.until_us, 300)
        self.written += mixed(chance, ("org_a", "org_b"), self.until_us - 5 * HOUR_US, self.until_us, 200)
        self.worker.write(*self.written)
        self.since, self.until = datetime_from_us(since_us), datetime_from_us(self.until_us)

    def served(self, hours: Hours, **wanted: Any) -> list[records.Settled]:
        return [record for record in self._of(hours, wanted) if isinstance(record, records.Settled)]

    def failed(self, hours: Hours, **wanted: Any) -> list[records.Voided]:
        return [record for record in self._of(hours, wanted) if isinstance(record, records.Voided)]

    def _of(self, hours: Hours, wanted: dict[str, Any]) -> list[records.Settled | records.Voided]:
        return [
            record
            for record in self.written
            if hours.since <= datetime_from_us(facts(record)["started_us"]) < hours.until
            and wanted.items() <= facts(record).items()
        ]

    async def answer(self, organization: str | None, since: datetime, **asked: Any) -> usage_series.UsageSeries:
        return await usage_series.answer(self.platform, organization, since=since, until=self.until, **asked)


@pytest.fixture
async def scene(admin: Admin) -> AsyncIterator[Scene]:
    async with admin.platform.database.connection() as connection:
        for name in ("org_a", "org_b"):
            await add_organization(connection, name, billing="postpaid")
        await add_price(connection)
        await pricing.insert(connection, msgspec.structs.replace(PRICE, id="price_small", model="small"))
    made = Scene(admin)
    yield made
    made.worker.stop()


def check(figures: usage_series.Figures, served: list[records.Settled], failed: list[records.Voided]) -> None:
    assert figures.requests == len(served)
    assert figures.failed == sum(record.status != 499 for record in failed)
    assert figures.hung_up == sum(record.status == 499 for record in failed)
    assert figures.errors == figures.failed + sum(record.finish == "upstream_error" for record in served)
    assert figures.tokens == sum(record.usage.all_input_tokens + record.usage.all_output_tokens for record in served)
    assert figures.output_tokens == sum(record.usage.all_output_tokens for record in served)
    assert figures.spend == decimal_from_pico(sum(record.amount_pico for record in served))
    times = sorted(record.ttft_us for record in served if record.streamed and record.ttft_us is not None)
    for share, told in ((0.5, figures.ttft_p50_us), (0.95, figures.ttft_p95_us)):
        if not times:
            assert told is None
            continue
        exact = times[max(0, -(-int(share * 10_000) * len(times) // 10_000) - 1)]
        assert told is not None
        assert abs(told - exact) <= max(0.05 * exact, 1000)


@pytest.mark.parametrize("organization", ["org_a", None])
async def test_groups_are_what_adding_up_gives(scene: Scene, organization: str | None) -> None:
    mine = {"organization": organization} if organization else {}
    splits = ("total", "model", "provider") + (("key", "project") if organization else ("customer",))
    for days, split in itertools.product((0.2, 3, 33, DAYS), splits):
        field = {"provider": "target", "customer": "organization"}.get(split, split)
        since = scene.until - timedelta(days=days)
        hours = whole_hours(since, scene.until)
        found = await scene.answer(organization, since, split=split)
        assert found.complete
        check(found.total[0].now, scene.served(hours, **mine), scene.failed(hours, **mine))
        for group in found.groups:
            wanted = mine | ({} if split == "total" else {field: group.value})
            check(group.now, scene.served(hours, **wanted), scene.failed(hours, **wanted))
            check(group.before, scene.served(hours.before, **wanted), scene.failed(hours.before, **wanted))
        spent = [float(group.now.spend) for group in found.groups]
        assert spent == sorted(spent, reverse=True)
        assert sum(group.now.requests for group in found.groups) == len(scene.served(hours, **mine))


async def test_what_is_an_organizations_own_is_split_within_it(scene: Scene) -> None:
    for organization, split in ((None, "key"), (None, "project"), ("org_a", "customer"), ("org_a", "weather")):
        with pytest.raises(InvalidInput):
            await scene.answer(organization, scene.since, split=split)


@pytest.mark.parametrize("grain", ["hour", "day", "month"])
async def test_points_are_what_adding_up_gives(scene: Scene, grain: str) -> None:
    since = scene.until - timedelta(days=4)
    found = await scene.answer("org_a", since, split="model", grain=grain)
    assert {point.value for point in found.points} == {"small", "large"}
    for point in found.points:
        hours = Hours(point.at, after(point.at, found.grain))
        check(
            point.figures,
            scene.served(hours, organization="org_a", model=point.value),
            scene.failed(hours, organization="org_a", model=point.value),
        )


async def test_the_three_sums_agree_to_the_pico_also_after_rerating(scene: Scene) -> None:
    hours = whole_hours(scene.since, scene.until)
    for organization in ("org_a", None):
        (line,) = (await scene.answer(organization, scene.since)).reconciled
        mine = {"organization": organization} if organization else {}
        spent = sum(record.amount_pico for record in scene.served(hours, **mine))
        assert (line.requests, line.usage, line.ledger) == (decimal_from_pico(spent),) * 3
        assert (line.agrees, line.difference, line.requests_by) == (True, "0.00", "charges")
    dearer = tuple(msgspec.structs.replace(rule, pico_per_unit=rule.pico_per_unit * 3) for rule in PRICE.rules)
    async with scene.platform.database.connection() as connection:
        version = msgspec.structs.replace(PRICE, id="price_dear", model="small", valid_from_us=1, rules=dearer)
        await pricing.insert(connection, version)
    spec = RerateSpec(price="price_dear", model="small", since=scene.until - timedelta(days=2), until=scene.until)
    await rerating.rerate(scene.platform, "test", "org_a", spec)
    after_rerating = (await scene.answer("org_a", scene.since)).reconciled[0]
    assert after_rerating.agrees
    dear = whole_hours(spec.since, spec.until)
    more = 2 * sum(
        record.amount_pico
        for record in scene.served(hours, organization="org_a", model="small")
        if spec.since <= datetime_from_us(record.started_us) < spec.until
    )
    assert dear.since <= spec.since
    assert after_rerating.usage == decimal_from_pico(
        sum(record.amount_pico for record in scene.served(hours, organization="org_a")) + more
    )


@pytest.mark.parametrize("by", ["charges", "series"])
async def test_a_difference_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    if by == "series":
        monkeypatch.setattr(usage_series, "CHARGES_MAX", 3)
    (line,) = (await scene.answer("org_a", scene.since)).reconciled
    assert (line.agrees, line.requests_by) == (True, by)
    async with scene.platform.database.connection() as connection:
        await connection.execute(
            "UPDATE usage_series SET amount_pico = amount_pico + 1"
            " WHERE scope = 'org_a' AND split = 'model' AND value = 'small'"
        )
    (line,) = await usage_series.reconciliation(scene.platform, "org_a", scene.since, scene.until)
    assert not line.agrees
    assert line.difference != "0.00"
    assert line.requests == line.ledger


@pytest.mark.parametrize("gone", ["charge", "ledger_entry"])
async def test_a_charge_or_an_entry_that_is_gone_shows(scene: Scene, gone: str) -> None:
    """Before the series took it in: they compare what was posted with what stands there."""
    await scene.platform.settler.catch_up()
    async with scene.platform.database.connection() as connection:
        await connection.execute("ALTER TABLE charge DISABLE TRIGGER ALL")
        await connection.execute("ALTER TABLE ledger_entry DISABLE TRIGGER ALL")
        if gone == "charge":
            await connection.execute(
                "DELETE FROM charge WHERE event_id = (SELECT min(event_id::text)::uuid FROM charge"
                " WHERE organization_id = 'org_a')"
            )
        else:
            await connection.execute(
                "DELETE FROM ledger_entry WHERE account_id IN (SELECT id FROM ledger_account"
                " WHERE kind = 'revenue_maas' AND organization_id = 'org_a')"
            )
    (line,) = (await scene.answer("org_a", scene.since - timedelta(days=1))).reconciled
    assert not line.agrees
    assert line.ledger != line.usage


async def test_series_are_added_to_once_however_many_follow_at_once(scene: Scene) -> None:
    import asyncio

    await scene.platform.settler.catch_up()
    await asyncio.gather(*(store.roll_up(scene.platform.database) for _ in range(4)))
    found = await scene.answer(None, scene.since)
    hours = whole_hours(scene.since, scene.until)
    check(found.total[0].now, scene.served(hours), scene.failed(hours))


async def test_the_admin_api_answers_it(scene: Scene) -> None:
    answer = await scene.admin.get(
        "/usage/series",
        since=scene.since.isoformat(),
        until=scene.until.isoformat(),
        split="customer",
        measure="tokens",
    )
    assert [group["value"] for group in answer["groups"]] in (["org_a", "org_b"], ["org_b", "org_a"])
    assert answer["grain"] == "day"
    period = f"since={scene.since:%Y-%m-%d}T00:00:00Z&until={scene.until:%Y-%m-%d}T00:00:00Z"
    await scene.admin.refused("GET", f"/usage/series?{period}&split=key", None, 400)
    await scene.admin.refused("GET", f"/usage/series?{period}&grain=hour", None, 400)
    await scene.admin.refused("GET", f"/usage/series?{period}&grain=week", None, 400)
    await scene.admin.refused("GET", f"/usage/series?{period}&organization=nobody", None, 404)


def test_pieces_cover_a_period_once() -> None:
    chance = random.Random(9)
    for _ in range(300):
        since = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=chance.randrange(10_000))
        hours = Hours(since, since + timedelta(hours=chance.choice((1, 7, 30, 800, 9_000))))
        found = pieces(hours)
        assert found[0].since == hours.since
        assert found[-1].until == hours.until
        assert all(one.until == next_one.since for one, next_one in itertools.pairwise(found))
        assert all(
            one.since == floor(one.since, one.grain) and one.until == floor(one.until, one.grain) for one in found
        )
        assert len(found) <= 5
        assert moments(hours, "hour")[0] == hours.since


def test_the_period_before() -> None:
    months = Hours(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC))
    assert months.before == Hours(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    day = Hours(datetime(2026, 3, 1, 5, tzinfo=UTC), datetime(2026, 3, 2, 5, tzinfo=UTC))
    assert day.before == Hours(datetime(2026, 2, 28, 5, tzinfo=UTC), day.since)
    assert grain_of(months) == "day"

"""The playground's key: one for a person in an organization, for an hour, and never longer than they are signed in."""

from datetime import UTC, datetime, timedelta

import pytest

from arkwright.basics.clock import now_us
from arkwright.basics.errors import Forbidden, NotFound
from arkwright.basics.ids import request_id, secret_sha256
from arkwright.control import keys, organizations, people, playground
from arkwright.control.keys import KeyChanges
from arkwright.control.platform import Platform
from arkwright.control.playground import Opened
from arkwright.domain.metering import Usage
from arkwright.store import console_sessions, tenancy
from arkwright.store import people as people_store
from tests.doubles.traffic import add_customers, request, write
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio


@pytest.fixture
async def platform_of(admin: Admin) -> Platform:
    platform = admin.platform
    await add_customers(platform.database, ("org_a", "external", ""), ("org_b", "external", ""))
    async with platform.changing("test") as session:
        await people.new_person(session, "ada", "correct-horse")
    return platform


async def opened(platform: Platform, organization: str = "org_a", now: datetime | None = None) -> Opened:
    async with platform.changing("person ada") as session:
        owner = await organizations.get(session.connection, organization)
        person = await people_store.by_login(session.connection, "ada")
        assert person is not None
        return await playground.open_key(session, owner, person_id=person.id, login="ada", now=now)


async def test_it_is_made_once_and_found_again(platform_of: Platform, admin: Admin) -> None:
    first, again = await opened(platform_of), await opened(platform_of)
    assert first == again
    assert first.secret.startswith("ak-")
    listed = (await admin.get("/organizations/org_a/keys"))["data"]
    assert [(key["id"], key["name"]) for key in listed] == [(first.key_id, "playground of ada")]
    assert first.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    elsewhere = await opened(platform_of, "org_b")
    assert elsewhere.key_id != first.key_id
    assert elsewhere.secret != first.secret
    noted = (await admin.get("/changes"))["data"]
    assert {(row["actor"], row["action"]) for row in noted} >= {("person ada", "key.create")}
    assert first.secret not in str(noted)
    assert "playground" not in await admin.export()


async def test_it_dies_with_its_hour_and_the_next_is_another(platform_of: Platform) -> None:
    start = datetime.now(UTC)
    first = await opened(platform_of, now=start)
    assert first.expires_at == start + timedelta(hours=1)
    assert await opened(platform_of, now=start + timedelta(minutes=49)) == first
    second = await opened(platform_of, now=start + timedelta(minutes=51))
    assert second.key_id == first.key_id
    assert second.secret != first.secret
    async with platform_of.reading() as connection:
        assert await tenancy.key_by_secret(connection, secret_sha256(first.secret)) is None
        found = await tenancy.key_by_secret(connection, secret_sha256(second.secret))
    assert found is not None
    assert found.expires_at == second.expires_at


async def test_an_hour_is_the_most_whoever_wrote_another(platform_of: Platform) -> None:
    first = await opened(platform_of)
    async with platform_of.changing("test") as session:
        owner = await organizations.get(session.connection, "org_a")
        key = await keys.get(session.connection, owner, first.key_id)
        await keys.update(session, owner, key, KeyChanges(expires_at=None))
    second = await opened(platform_of)
    assert second.secret != first.secret
    assert second.expires_at <= datetime.now(UTC) + timedelta(hours=1)


async def test_it_ends_with_the_session(platform_of: Platform) -> None:
    async with platform_of.database.connection() as connection:
        person = await people_store.by_login(connection, "ada")
        assert person is not None
        await console_sessions.insert(connection, bytes(32), person.id, 3_600, device="", means="password")
    first = await opened(platform_of)
    async with platform_of.database.connection() as connection:
        await console_sessions.delete_all_of(connection, person.id)
    async with platform_of.reading() as connection:
        ended = await tenancy.key_by_secret(connection, secret_sha256(first.secret))
    assert ended is not None
    assert ended.expires_at is not None
    assert ended.expires_at <= datetime.now(UTC)
    assert (await opened(platform_of)).secret != first.secret


async def test_one_that_was_disabled_stays_so(platform_of: Platform) -> None:
    first = await opened(platform_of)
    async with platform_of.changing("test") as session:
        owner = await organizations.get(session.connection, "org_a")
        await keys.update(
            session, owner, await keys.get(session.connection, owner, first.key_id), KeyChanges(disabled=True)
        )
    with pytest.raises(Forbidden, match="disabled"):
        await opened(platform_of)


async def test_what_a_request_cost_is_told_to_its_organization_only(platform_of: Platform) -> None:
    platform = platform_of
    record = request("org_a", Usage(10, 0, 0, 20), now_us())
    name = request_id(record.event_id)
    async with platform.reading() as connection:
        org_a = await organizations.get(connection, "org_a")
        org_b = await organizations.get(connection, "org_b")
    assert await playground.charge_of(platform, org_a, name) is None
    write(platform.settings.paths.journal, platform.words, [record])
    found = await playground.charge_of(platform, org_a, name)
    assert found is not None
    assert found.amount == "0.0000425"
    assert await playground.charge_of(platform, org_b, name) is None
    with pytest.raises(NotFound):
        await playground.charge_of(platform, org_a, "../../etc")

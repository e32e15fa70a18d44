"""Scopes, rotation and the list of keys: told once, audited, found by a beginning, paged without gaps."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from arkwright.basics.ids import secret_sha256
from arkwright.control import keys, organizations
from arkwright.domain import snapshot as snapshots
from arkwright.domain.tenancy import Key
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio


@pytest.fixture
async def owner(admin: Admin) -> Admin:
    await admin.post("/organizations", {"name": "acme"})
    await admin.post("/organizations", {"name": "rival"})
    return admin


async def made(admin: Admin, **fields: object) -> tuple[str, str]:
    """Id and secret of a new key of acme."""
    answer = await admin.post("/organizations/acme/keys", fields)
    return answer["key"]["id"], answer["secret"]


async def known(admin: Admin, secret: str) -> Key | None:
    """What the data plane would be told of this secret now."""
    await admin.platform.publisher.publish()
    raw = admin.platform.publisher._path.read_bytes()
    return snapshots.decode(raw).keys.get(secret_sha256(secret))


async def test_scopes_are_kept_told_and_taken_away(owner: Admin) -> None:
    key, secret = await made(owner, name="narrow", scopes=["models", "chat", "chat"])
    assert (await owner.get(f"/organizations/acme/keys/{key}"))["scopes"] == ["chat", "models"]
    told = await known(owner, secret)
    assert told is not None
    assert told.scopes == {"chat", "models"}
    assert 'scopes = ["chat", "models"]' in await owner.export()
    assert (await owner.apply(await owner.export()))["created"] == 0
    await owner.refused("PATCH", f"/keys/{key}", {"scopes": ["everything"]}, 400)
    assert (await owner.call("PATCH", f"/keys/{key}", {"scopes": []}))["scopes"] == []


async def test_both_secrets_work_in_the_overlap_and_the_old_one_ends(owner: Admin) -> None:
    key, old = await made(owner, name="k", scopes=["chat"])
    answer = await owner.post(f"/organizations/acme/keys/{key}/rotate", {"overlap_s": 60})
    new = answer["secret"]
    assert answer["key"]["id"] == key
    assert (answer["key"]["hint"], answer["key"]["former_hint"]) == (new[-4:], old[-4:])
    before, after = await known(owner, old), await known(owner, new)
    assert before is not None
    assert after is not None
    assert (before.id, after.id) == (key, key)
    assert before.scopes == after.scopes == {"chat"}
    assert after.expires_at_us is None
    assert before.expires_at_us is not None
    left = datetime.fromtimestamp(before.expires_at_us / 1e6, UTC) - datetime.now(UTC)
    assert timedelta(seconds=30) < left <= timedelta(seconds=60)
    lines = await owner.get("/organizations/acme/key-lines")
    assert [(line["id"], line["former_hint"]) for line in lines["data"]] == [(key, old[-4:])], "one line of both"
    assert "works until" in (await owner.refused("POST", f"/organizations/acme/keys/{key}/rotate", {}, 409))["message"]
    ended = await owner.post(f"/organizations/acme/keys/{key}/end-overlap", {})
    assert ended["former_hint"] is None
    expired = await known(owner, old)
    assert expired is not None
    assert expired.expires_at_us is not None
    assert expired.expires_at_us <= datetime.now(UTC).timestamp() * 1e6
    assert (await owner.post(f"/organizations/acme/keys/{key}/end-overlap", {}))["id"] == key


async def test_a_key_that_ends_sooner_ends_its_former_secret_too(owner: Admin) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    key, old = await made(owner, expires_at=soon)
    await owner.post(f"/organizations/acme/keys/{key}/rotate", {"overlap_s": 3600})
    former = await known(owner, old)
    assert former is not None
    assert former.expires_at_us == round(datetime.fromisoformat(soon).timestamp() * 1_000_000)


async def test_without_overlap_everything_before_ends_at_once(owner: Admin) -> None:
    key, first = await made(owner)
    second = (await owner.post(f"/organizations/acme/keys/{key}/rotate", {"overlap_s": 600}))["secret"]
    third = (await owner.post(f"/organizations/acme/keys/{key}/rotate", {"overlap_s": 0}))["secret"]
    now_us = datetime.now(UTC).timestamp() * 1e6
    for secret in (first, second):
        former = await known(owner, secret)
        assert former is not None
        assert former.expires_at_us is not None
        assert former.expires_at_us <= now_us
    newest = await known(owner, third)
    assert newest is not None
    assert newest.expires_at_us is None
    for secret in (first, second, third):
        error = await owner.refused("POST", "/organizations/rival/keys", {"secret": secret}, 409)
        assert secret not in error["message"]


async def test_sent_twice_it_rotates_once(owner: Admin) -> None:
    key, old = await made(owner)
    body = {"overlap_s": 0, "expected_hint": old[-4:]}
    await owner.post(f"/organizations/acme/keys/{key}/rotate", body)
    error = await owner.refused("POST", f"/organizations/acme/keys/{key}/rotate", body, 409)
    assert "rotated meanwhile" in error["message"]


async def test_two_rotations_at_once_make_one(owner: Admin) -> None:
    key, _ = await made(owner)
    path = f"/admin/v1/organizations/acme/keys/{key}/rotate"
    answers = await asyncio.gather(*(owner.client.post(path, json={}) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_it_is_audited_without_a_secret_and_another_tenants_key_is_not_there(owner: Admin) -> None:
    key, old = await made(owner, name="k")
    for path in ("rotate", "end-overlap"):
        await owner.refused("POST", f"/organizations/rival/keys/{key}/{path}", {}, 404)
    new = (await owner.post(f"/organizations/acme/keys/{key}/rotate", {"overlap_s": 60}))["secret"]
    await owner.refused("POST", f"/organizations/acme/keys/{key}/rotate", {"overlap_s": -1}, 400)
    async with owner.platform.reading() as connection:
        rows = await (await connection.execute("SELECT * FROM audit_log ORDER BY id DESC LIMIT 1")).fetchall()
    assert rows[0].action == "key.update"
    assert rows[0].before == {"organization": "acme", "secret": f"…{old[-4:]}"}
    assert rows[0].after["former"] == f"…{old[-4:]}"
    assert old not in str(rows)
    assert new not in str(rows)


async def test_a_search_finds_by_name_then_by_hint_page_by_page(owner: Admin) -> None:
    secrets = {}
    for number in range(7):
        secrets[f"Search-{number}"] = (await made(owner, name=f"Search-{number}"))[0]
    await made(owner, name="other")
    by_hint = (await owner.post("/organizations/acme/keys", {"name": "zz", "secret": "operator-secret-sear"}))["key"][
        "id"
    ]
    await owner.post("/organizations/rival/keys", {"name": "search-rival"})
    found: list[str] = []
    after = ""
    for _ in range(10):
        page = await owner.get("/organizations/acme/key-lines", search="sear", after=after, limit=3)
        found += [line["id"] for line in page["data"]]
        if not page["has_more"]:
            break
        after = page["last_id"]
    assert found == [*secrets.values(), by_hint]
    assert (await owner.get("/organizations/acme/key-lines", search="…sear"))["data"][-1]["id"] == by_hint
    assert len((await owner.get("/organizations/acme/key-lines", search="sEARCH-"))["data"]) == 7
    assert (await owner.get("/organizations/acme/key-lines", search="%"))["data"] == []
    newest = (await owner.get("/organizations/acme/key-lines", limit=2))["data"]
    assert [line["name"] for line in newest] == ["zz", "other"]
    rest = await owner.get("/organizations/acme/key-lines", after=newest[-1]["id"], limit=50)
    assert [line["name"] for line in rest["data"]] == [f"Search-{number}" for number in range(6, -1, -1)]


async def test_a_page_of_one_person_has_that_persons_keys_alone(owner: Admin) -> None:
    platform = owner.platform
    async with platform.changing("person ada") as session:
        await session.connection.execute(
            "INSERT INTO person (id, login, password_hash) VALUES ('person_a', 'ada', 'x'), ('person_b', 'bob', 'x')"
        )
        organization = await organizations.get(session.connection, "acme")
        for person, name in (("person_a", "hers"), ("person_b", "his")):
            await keys.create(session, organization, keys.KeySpec(name=name), person_id=person)
        mine = await keys.lines(session.connection, organization, person_id="person_a", limit=10)
        searched = await keys.lines(session.connection, organization, search="h", person_id="person_b", limit=10)
    assert [(line.name, line.person, line.made_by) for line in mine.data] == [("hers", "ada", "person ada")]
    assert [line.name for line in searched.data] == ["his"]

"""People by the admin API: roles on the platform, passwords, sessions, tokens, invitations; and whose a change is."""

import asyncio
from typing import Any

import pytest

from arkwright.basics import secrets
from arkwright.basics.errors import ArkwrightError, Conflict, NotFound
from arkwright.basics.ids import secret_sha256
from arkwright.control import console_sessions, invitations, people
from arkwright.control.platform import Platform
from arkwright.store.people import Person
from tests.integration.control.conftest import Admin

pytestmark = pytest.mark.anyio
PASSWORD = "correct-horse-battery"


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    from argon2 import PasswordHasher

    quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(secrets, "_hasher", lambda: quick)


async def _person(platform: Platform, login: str) -> Person:
    async with platform.reading() as connection:
        return await people.get(connection, login)


async def _invite(admin: Admin, **spec: Any) -> str:
    answer = await admin.post("/invitations", spec)
    assert answer["path"].startswith("/console/invitations/inv-")
    assert "inv-" not in str(answer["invitation"])
    return str(answer["path"]).rsplit("/", 1)[1]


async def test_a_person_has_a_role_on_the_platform_that_is_on_record(admin: Admin) -> None:
    made = await admin.post("/people", {"login": "ann", "platform_role": "auditor"})
    assert made["password"]
    assert made["person"]["platform_role"] == "auditor"
    assert "hash" not in str(made)
    await admin.call("PATCH", "/people/ann", {"platform_role": "billing"})
    assert (await admin.get("/people/ann"))["person"]["platform_role"] == "billing"
    error = await admin.refused("POST", "/people", {"login": "ann"}, 409)
    assert error["param"] == "login"
    await admin.refused("PATCH", "/people/nobody", {"disabled": True}, 404)
    await admin.refused("PATCH", "/people/ann", {"platform_role": "owner"}, 400)
    log = (await admin.get("/changes/search", subject="person ann"))["data"]
    assert [row["action"] for row in log] == ["person.update", "person.create"]
    assert (log[0]["before"]["platform_role"], log[0]["after"]["platform_role"]) == ("auditor", "billing")
    assert log[0]["actor"] == "admin key test"
    assert made["password"] not in str(log)


async def test_the_last_operator_stays(admin: Admin, platform: Platform) -> None:
    for login in ("one", "two"):
        await admin.post("/people", {"login": login, "platform_role": "operator"})
    both = [
        admin.client.patch("/admin/v1/people/one", json={"platform_role": ""}),
        admin.client.patch("/admin/v1/people/two", json={"disabled": True}),
    ]
    answers = await asyncio.gather(*both)
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    left = [person for login in ("one", "two") if _operates(person := await _person(platform, login))]
    assert len(left) == 1
    await admin.refused("PATCH", f"/people/{left[0].login}", {"platform_role": "billing"}, 409)


def _operates(person: Person) -> bool:
    return person.platform_role == "operator" and not person.disabled


async def test_people_are_found_by_how_their_login_begins_a_page_at_a_time(admin: Admin) -> None:
    for login in ("Bea", "bob", "BORIS", "carl", "a%b", "bé"):
        await admin.post("/people", {"login": login})
    found, after = [], ""
    while True:
        page = await admin.get("/people", search="b", after=after, limit=2)
        found += [row["login"] for row in page["data"]]
        if not page["has_more"]:
            break
        after = page["last_id"]
    assert found == ["Bea", "bob", "BORIS", "bé"]
    assert [row["login"] for row in (await admin.get("/people", search="a%"))["data"]] == ["a%b"]
    assert len((await admin.get("/people"))["data"]) == 6


async def test_disabling_a_person_ends_sessions_and_tokens(admin: Admin, platform: Platform) -> None:
    await admin.post("/people", {"login": "ann", "password": PASSWORD})
    made = await admin.post("/people/ann/tokens", {"name": "laptop", "days": 3})
    secret, person = made["secret"], await _person(platform, "ann")
    async with platform.reading() as connection:
        agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        token = await console_sessions.begin(platform.session(connection, "test"), person, "password", agent)
    listed = (await admin.get("/people/ann/sessions"))["data"]
    assert [(row["device"], row["means"]) for row in listed] == [("Firefox on Linux", "password")]
    assert token not in str(listed)
    async with platform.reading() as connection:
        assert await console_sessions.holder(connection, token) is not None
        assert await console_sessions.bearer(connection, secret) is not None
    used = (await admin.get("/people/ann/tokens"))["data"][0]
    assert used["used_at"] is not None
    assert used["hint"] == secret[-4:]
    assert secret not in str(used)
    await admin.call("PATCH", "/people/ann", {"disabled": True})
    await admin.call("PATCH", "/people/ann", {"disabled": False})
    async with platform.reading() as connection:
        assert await console_sessions.holder(connection, token) is None
        assert await console_sessions.bearer(connection, secret) is None


async def test_sessions_and_tokens_end_one_by_one(admin: Admin, platform: Platform) -> None:
    await admin.post("/people", {"login": "ann", "password": PASSWORD})
    await admin.post("/people", {"login": "bob", "password": PASSWORD})
    ann = await _person(platform, "ann")
    tokens = []
    for _ in range(2):
        async with platform.reading() as connection:
            tokens.append(await console_sessions.begin(platform.session(connection, "test"), ann, "password", ""))
    rows = (await admin.get("/people/ann/sessions"))["data"]
    await admin.refused("DELETE", f"/people/bob/sessions/{rows[0]['id']}", None, 404)
    await admin.call("DELETE", f"/people/ann/sessions/{rows[0]['id']}")
    async with platform.reading() as connection:
        alive = [await console_sessions.holder(connection, token) is not None for token in tokens]
    assert sorted(alive) == [False, True]
    made = await admin.post("/people/ann/tokens", {"name": "ci"})
    await admin.refused("DELETE", f"/people/bob/tokens/{made['token']['id']}", None, 404)
    await admin.call("DELETE", f"/people/ann/tokens/{made['token']['id']}")
    async with platform.reading() as connection:
        assert await console_sessions.bearer(connection, made["secret"]) is None
    await admin.refused("POST", "/people/ann/tokens", {"name": "ever", "days": 10_000}, 400)
    log = (await admin.get("/changes/search", actor="admin key test"))["data"]
    assert {"console.revoke_session", "personal_token.create", "personal_token.delete"} <= {r["action"] for r in log}
    assert made["secret"] not in str(log)


async def test_a_password_is_changed_by_who_knows_the_old_one(admin: Admin, platform: Platform) -> None:
    await admin.post("/people", {"login": "ann", "password": PASSWORD})
    ann = await _person(platform, "ann")
    async with platform.reading() as connection:
        session = platform.session(connection, "person ann")
        mine = await console_sessions.begin(session, ann, "password", "")
        other = await console_sessions.begin(session, ann, "password", "")
    async with platform.reading() as connection:
        found = await console_sessions.holder(connection, mine)
        assert found is not None
        session = platform.session(connection, "person ann")
        with pytest.raises(ArkwrightError, match="another one"):
            await people.change_password(session, "ann", "wrong", "another-long-password")
        with pytest.raises(ArkwrightError, match="12 characters"):
            await people.change_password(session, "ann", PASSWORD, "short")
        await people.change_password(session, "ann", PASSWORD, "another-long-password", kept_session=found[0].by_id)
    async with platform.reading() as connection:
        assert await console_sessions.holder(connection, mine) is not None
        assert await console_sessions.holder(connection, other) is None
        assert await people.password_fits((await people.get(connection, "ann")).password_hash, "another-long-password")


async def test_an_invitation_lets_one_person_in_once(admin: Admin, platform: Platform) -> None:
    await admin.post("/organizations", {"name": "acme"})
    token = await _invite(admin, organization="acme", role="billing", note="for ann")
    async with platform.reading() as connection:
        assert (await invitations.welcome(connection, secret_sha256(token))).organization == "acme"
        await invitations.accept_as_new(platform.session(connection, ""), secret_sha256(token), "ann", PASSWORD)
    assert [row["role"] for row in (await admin.get("/organizations/acme/members"))["data"]] == ["billing"]
    await _refused(platform, token, NotFound)
    listed = (await admin.get("/invitations", organization="acme"))["data"]
    assert (listed[0]["used_by"], listed[0]["note"]) == ("ann", "for ann")
    assert token not in str(listed)
    await admin.refused("DELETE", f"/invitations/{listed[0]['id']}", None, 409)
    log = (await admin.get("/changes/search", organization="acme"))["data"]
    assert {"organization.create", "invitation.create", "invitation.update", "member.create"} == {
        row["action"] for row in log
    }
    assert {row["actor"] for row in log} == {"admin key test", "person ann"}
    assert token not in str(log)


async def test_what_lets_nobody_in(admin: Admin, platform: Platform) -> None:
    await admin.post("/organizations", {"name": "acme"})
    revoked = await _invite(admin, organization="acme")
    listed = (await admin.get("/invitations"))["data"]
    await admin.call("DELETE", f"/invitations/{listed[0]['id']}")
    ended = await _invite(admin, organization="acme")
    async with platform.reading() as connection:
        await connection.execute(
            "UPDATE invitation SET expires_at = now() - interval '1 second' WHERE revoked_at IS NULL"
        )
    for token in (revoked, ended, "inv-" + "0" * 64, ""):
        await _refused(platform, token, NotFound)
    for spec in ({}, {"organization": "acme", "platform_role": "auditor"}, {"organization": "acme", "days": 0}):
        await admin.refused("POST", "/invitations", spec, 400)
    await admin.refused("POST", "/invitations", {"organization": "nowhere"}, 404)


async def test_a_login_that_is_taken_leaves_the_invitation_open(admin: Admin, platform: Platform) -> None:
    await admin.post("/people", {"login": "ann", "password": PASSWORD})
    token = await _invite(admin, platform_role="auditor")
    await _refused(platform, token, Conflict)
    async with platform.reading() as connection:
        ann = await people.get(connection, "ann")
        joined = await invitations.accept(platform.session(connection, ""), secret_sha256(token), ann)
    assert joined.platform_role == "auditor"
    assert (await _person(platform, "ann")).platform_role == "auditor"


async def test_of_two_who_come_at_once_one_is_let_in(admin: Admin, platform: Platform) -> None:
    await admin.post("/organizations", {"name": "acme"})
    token = await _invite(admin, organization="acme", role="admin")

    async def come(login: str) -> bool:
        try:
            async with platform.reading() as connection:
                await invitations.accept_as_new(platform.session(connection, ""), secret_sha256(token), login, PASSWORD)
        except NotFound:
            return False
        return True

    assert sorted(await asyncio.gather(*(come(f"guest-{number}") for number in range(4)))) == [False] * 3 + [True]
    assert len((await admin.get("/organizations/acme/members"))["data"]) == 1
    assert len((await admin.get("/people", search="guest-"))["data"]) == 1


async def test_a_change_says_whose_it_is(admin: Admin) -> None:
    for name in ("acme", "other"):
        await admin.post("/organizations", {"name": name})
        await admin.post(f"/organizations/{name}/keys", {"name": "k"})
        await admin.post(f"/organizations/{name}/top-ups", {"amount": "5", "reference": f"r-{name}"})
    await admin.call("PATCH", "/organizations/acme", {"industry": "toys"})
    rows = (await admin.get("/changes/search", organization="acme"))["data"]
    actions = [row["action"] for row in rows]
    assert actions[0] == "organization.update"
    assert {"key.create", "top_up.create", "organization.create", "project.create"} <= set(actions)
    assert not [row for row in rows if "other" in row["subject"]]
    assert len({row["organization_id"] for row in rows}) == 1
    paged, after = [], 0
    while True:
        page = await admin.get("/changes/search", organization="acme", limit=2, after=after)
        paged += page["data"]
        if not page["has_more"]:
            break
        after = int(page["last_id"])
    assert [row["id"] for row in paged] == [row["id"] for row in rows]
    assert (await admin.get("/changes/search", action="key.create", organization="other"))["data"][0]["subject"]
    since = rows[0]["at"]
    assert [row["id"] for row in (await admin.get("/changes/search", since=since, organization="acme"))["data"]] == [
        rows[0]["id"]
    ]
    await admin.get("/changes/search", expect=404, organization="nowhere")


async def _refused(platform: Platform, token: str, kind: type[ArkwrightError]) -> None:
    with pytest.raises(kind):
        async with platform.reading() as connection:
            await invitations.accept_as_new(platform.session(connection, ""), secret_sha256(token), "ann", PASSWORD)

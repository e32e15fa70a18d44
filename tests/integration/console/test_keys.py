"""Keys and limits in the console: who sees whose, a secret shown once, forms that are sent twice, plain names."""

import html
import json
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from arkwright.basics.ids import secret_sha256
from arkwright.control import keys, limits, members, organizations, people
from arkwright.control.keys import KeySpec
from arkwright.control.limits import LimitSpec
from arkwright.control.members import MemberSpec
from arkwright.control.organizations import OrganizationSpec
from arkwright.control.platform import Platform
from arkwright.domain import snapshot as snapshots
from arkwright.domain.tenancy import Role
from tests.integration.console.browsers import PASSWORD, opened, sign_in

pytestmark = pytest.mark.anyio
ROLES: tuple[Role, ...] = ("admin", "member", "billing", "auditor")
NAME = '<img src=x onerror="alert(1)">{{7*7}}'


@pytest.fixture
async def peopled(platform: Platform) -> Platform:
    """Two organizations; acme has a person of each role, and a key of the admin's and one of the member's."""
    async with platform.changing("test") as session:
        for name in ("acme", "rival"):
            await organizations.create(session, OrganizationSpec(name=name, billing="postpaid"))
        owner = await organizations.get(session.connection, "acme")
        for role in ROLES:
            await members.create(session, owner, MemberSpec(login=f"acme-{role}", role=role, password=PASSWORD))
            if role in ("admin", "member"):
                person = await people.get(session.connection, f"acme-{role}")
                await keys.create(session, owner, KeySpec(name=f"of the {role}"), person_id=person.id)
    return platform


async def entered(platform: Platform, login: str) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(platform) as browser:
        answer = await sign_in(browser, f"acme-{login}" if login in ROLES else login)
        assert answer.status_code == 303, answer.text
        yield browser


def token_of(page: httpx.Response) -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', page.text)
    assert found, page.text
    return found.group(1)


def hidden(page: httpx.Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found, page.text
    return found.group(1)


async def key_id(platform: Platform, name: str) -> str:
    async with platform.reading() as connection:
        owner = await organizations.get(connection, "acme")
        return (await keys.get(connection, owner, name)).id


async def made(browser: httpx.AsyncClient, **fields: object) -> tuple[httpx.Response, dict[str, object]]:
    """The answer to a form that makes a key, and what was sent."""
    form = await browser.get("/console/keys/new", params={"organization": "acme"})
    sent: dict[str, object] = {"token": token_of(form), "id": hidden(form, "id"), "project": "default", **fields}
    return await browser.post("/console/keys/new?organization=acme", data=sent), sent


def secret_of(page: httpx.Response) -> str:
    found = re.search(r"ak-[0-9a-f]{64}", page.text)
    assert found, page.text
    return found.group(0)


@pytest.mark.parametrize(
    ("login", "sees", "changes"),
    [("admin", {"of the admin", "of the member"}, True), ("member", {"of the member"}, True),
     ("auditor", {"of the admin", "of the member"}, False), ("billing", None, False)],
)  # fmt: skip
async def test_each_role_sees_and_changes_what_it_may(
    peopled: Platform, login: str, sees: set[str] | None, changes: bool
) -> None:
    async for browser in entered(peopled, login):
        page = await browser.get("/console/keys")
        if sees is None:
            assert page.status_code == 403
            continue
        assert page.status_code == 200
        for name in ("of the admin", "of the member"):
            assert (name in page.text) is (name in sees), name
            one = await browser.get(f"/console/keys/{await key_id(peopled, name)}")
            assert one.status_code == (200 if name in sees else 404)
        assert ("/console/keys/new" in page.text) is changes
        fields = {"token": token_of(page), "do": "disable"}
        key = await key_id(peopled, "of the admin")
        answer = await browser.post(f"/console/keys/{key}", data=fields)
        assert answer.status_code == {"admin": 303, "member": 404, "auditor": 403}[login]


async def test_another_organizations_key_is_not_there(peopled: Platform) -> None:
    async with peopled.changing("test") as session:
        rival = await organizations.get(session.connection, "rival")
        other = (await keys.create(session, rival, KeySpec(name="theirs"))).id
    async for browser in entered(peopled, "admin"):
        assert (await browser.get(f"/console/keys/{other}")).status_code == 404
        assert (await browser.get("/console/keys", params={"organization": "rival"})).status_code == 404
        token = token_of(await browser.get("/console/keys"))
        refused = await browser.post(f"/console/keys/{other}", data={"token": token, "do": "rotate", "overlap": "0"})
        assert refused.status_code == 404
        assert (await browser.post("/console/limits?organization=rival", data={"token": token})).status_code == 404


async def test_the_secret_is_shown_once_and_a_form_sent_twice_makes_one_key(peopled: Platform) -> None:
    async for browser in entered(peopled, "member"):
        answer, sent = await made(browser, name="mine", scope=["chat"], last_day="2099-12-31", budget="9.00")
        assert answer.status_code == 200
        secret = secret_of(answer)
        assert answer.headers["cache-control"] == "no-store"
        assert f"Bearer {secret}" in html.unescape(answer.text), "a line that works"
        again = await browser.post("/console/keys/new?organization=acme", data=sent)
        assert again.status_code == 409
        assert secret not in again.text
        assert "made already" in again.text
        page = await browser.get(f"/console/keys/{sent['id']}")
        assert secret not in page.text
        assert f"…{secret[-4:]}" in page.text
        assert "2099-12-31" in page.text
        listed = await browser.get("/console/keys", params={"as": "json"})
        assert secret not in listed.text
    await peopled.publisher.publish()
    known = snapshots.decode(peopled.publisher._path.read_bytes()).keys[secret_sha256(secret)]
    assert known.id == sent["id"]
    assert known.scopes == {"chat"}
    async with peopled.reading() as connection:
        owner = await organizations.get(connection, "acme")
        [line] = [line for line in (await keys.lines(connection, owner, limit=50)).data if line.id == known.id]
        assert (line.person, line.made_by, line.budget) == ("acme-member", "person acme-member", None), (
            "a member sets no budget"
        )
        rows = await (await connection.execute("SELECT * FROM audit_log")).fetchall()
    assert secret not in str(rows)


async def test_a_rotation_is_told_once_and_sent_twice_rotates_once(peopled: Platform) -> None:
    async for browser in entered(peopled, "admin"):
        answer, sent = await made(browser, name="k", budget="2.50")
        old, address = secret_of(answer), f"/console/keys/{sent['id']}"
        page = await browser.get(address)
        assert "2.50" in page.text, "an admin's budget"
        form = {"token": token_of(page), "hint": hidden(page, "hint"), "do": "rotate", "overlap": "86400"}
        rotated = await browser.post(address, data=form)
        new = secret_of(rotated)
        assert new != old
        assert (await browser.post(address, data=form)).status_code == 409
        page = await browser.get(address)
        assert "Two secrets work" in page.text
        assert (await browser.post(address, data={"token": token_of(page), "do": "end-overlap"})).status_code == 303
        assert "Two secrets work" not in (await browser.get(address)).text
    await peopled.publisher.publish()
    known = snapshots.decode(peopled.publisher._path.read_bytes()).keys
    assert known[secret_sha256(new)].expires_at_us is None
    assert known[secret_sha256(old)].expires_at_us is not None


async def test_settings_are_changed_and_what_was_not_touched_stays(peopled: Platform) -> None:
    async for browser in entered(peopled, "admin"):
        _, sent = await made(browser, name="k", scope=["chat", "models"], last_day="2099-01-31")
        address = f"/console/keys/{sent['id']}"
        page = await browser.get(address)
        fields = {"token": token_of(page), "do": "update", "name": "renamed", "scope": ["models"], "models": "",
                  "last_day": "2099-01-31"}  # fmt: skip
        assert (await browser.post(address, data=fields)).status_code == 303
        told = (await browser.get("/console/keys", params={"as": "json", "search": "REN"})).json()["data"]
        assert [(row["name"], row["scopes"], row["expires_at"][:10]) for row in told] == [
            ("renamed", "models", "2099-02-01")
        ]
        refused = await browser.post(address, data={**fields, "models": "no-such-model"})
        assert refused.status_code == 400
        assert "there is no model" in refused.text
        assert (await browser.post(address, data={**fields, "last_day": "tomorrow"})).status_code == 400


async def test_names_are_text_and_lists_are_files(peopled: Platform) -> None:
    async with peopled.changing("test") as session:
        owner = await organizations.get(session.connection, "acme")
        change = await keys.create(session, owner, KeySpec(name="=1+1"))
        await session.connection.execute("UPDATE api_key SET name = %s WHERE id = %s", (NAME, change.id))
        await limits.ensure(session, owner, LimitSpec(key=change.id, requests_per_minute=5, budget_monthly="1.00"))
    async for browser in entered(peopled, "admin"):
        for address in (
            "/console/keys",
            f"/console/keys/{change.id}",
            "/console/limits",
            "/console/keys?search=%3Cimg",
        ):
            page = (await browser.get(address)).text
            assert "<img src=x" not in page
            assert "{{7*7}}" in page
        found = await browser.get("/console/keys", params={"as": "csv"})
        assert found.headers["content-type"].startswith("text/csv")
        assert "49" not in found.text.split("\r\n")[1][:60]


async def test_pages_of_keys_have_each_once(peopled: Platform) -> None:
    async with peopled.database.connection() as connection:
        await connection.execute(
            "INSERT INTO api_key (id, organization_id, project_id, name, secret_sha256, hint)"
            " SELECT 'key_' || lpad(i::text, 26, '0'), project.organization_id, project.id, 'many ' || i,"
            " sha256(i::text::bytea), 'abcd' FROM project, generate_series(1, 120) AS i"
        )
    async for browser in entered(peopled, "admin"):
        seen: list[str] = []
        after = ""
        for _ in range(5):
            answer = (
                await browser.get("/console/keys", params={"as": "json", "search": "many", "after": after})
            ).json()
            seen += [row["id"] for row in answer["data"]]
            after = answer["after"]
            if not after:
                break
        assert len(seen) == len(set(seen)) == 120
        page = (await browser.get("/console/keys?search=many")).text
        assert 'rel="next"' in page


async def test_limits_are_set_where_one_may_and_told_with_their_use(peopled: Platform) -> None:
    key = await key_id(peopled, "of the member")
    async for browser in entered(peopled, "admin"):
        page = await browser.get("/console/limits")
        fields = {"token": token_of(page), "do": "set", "scope": "key", "subject": key, "requests_per_minute": "7"}
        assert (await browser.post("/console/limits", data=fields)).status_code == 303
        whole = {**fields, "scope": "organization", "subject": ""}
        refused = await browser.post("/console/limits", data=whole)
        assert refused.status_code == 403
        assert "operator" in refused.text
        wrong = await browser.post("/console/limits", data={**fields, "requests_per_minute": "many"})
        assert (wrong.status_code, "no whole number" in wrong.text) == (400, True)
        told = (await browser.get("/console/limits", params={"as": "json"})).json()["data"]
        assert [(row["name"], row["cap_of"], row["cap"], row["used"]) for row in told] == [
            ("of the member", "requests_per_minute", "7", "0")
        ]
        applying = (await browser.get("/console/limits", params={"key": key, "as": "json"})).json()["data"]
        assert len(applying) == 1
        assert (await browser.get("/console/limits", params={"key": "nobody's"})).status_code == 404
    async for browser in entered(peopled, "member"):
        page = await browser.get("/console/limits")
        assert "of the member" in page.text
        token = token_of(page)
        assert 'name="do" value="set"' not in page.text
        assert (await browser.post("/console/limits", data={**fields, "token": token})).status_code == 403
    async for browser in entered(peopled, "admin"):
        page = await browser.get("/console/limits")
        gone = {"token": token_of(page), "do": "delete", "limit": hidden(page, "limit")}
        assert (await browser.post("/console/limits", data=gone)).status_code == 303
        assert json.loads((await browser.get("/console/limits", params={"as": "json"})).text)["data"] == []


async def test_an_operator_chooses_an_organization_and_sees_it(peopled: Platform) -> None:
    async with peopled.changing("test") as session:
        await people.new_person(session, "root", PASSWORD, platform_role="operator")
    async for browser in entered(peopled, "root"):
        for address in ("/console/keys", "/console/limits"):
            listed = (await browser.get(address)).text
            assert "organization=acme" in listed
            assert "organization=rival" in listed
        assert "of the member" in (await browser.get("/console/keys?organization=acme")).text
        assert (await browser.get(f"/console/keys/{await key_id(peopled, 'of the admin')}")).status_code == 200
        page = await browser.get("/console/limits?organization=acme")
        fields = {"token": token_of(page), "do": "set", "scope": "organization", "budget_monthly": "50"}
        assert (await browser.post("/console/limits?organization=acme", data=fields)).status_code == 303

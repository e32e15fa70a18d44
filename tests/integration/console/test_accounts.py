"""Accounts as a browser meets them: invitations, one's own page, people, organizations, the trail, and who may what."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from arkwright.console.throttle import PER_LOGIN
from arkwright.control import invitations, keys, members, organizations, people, personal_tokens
from arkwright.control.invitations import InvitationSpec
from arkwright.control.keys import KeySpec
from arkwright.control.members import MemberSpec
from arkwright.control.organizations import OrganizationSpec
from arkwright.control.personal_tokens import TokenSpec
from arkwright.control.platform import Platform
from tests.integration.console.browsers import PASSWORD, opened, sign_in

pytestmark = pytest.mark.anyio
PAYLOADS = ["<script>alert(1)<script>", '"><img src=x onerror=alert(1)>', "{{7*7}}${7*7}"]
PLATFORM = {"admin": "operator", "teller": "billing", "looker": "auditor"}
ACME = {"acme-admin": "admin", "acme-member": "member", "acme-billing": "billing", "acme-auditor": "auditor"}
# Who sees what; everybody else is refused (403), but for an own organization's page in place of the list.
SEES = {
    "/account": {*PLATFORM, *ACME},
    "/people": {"admin", "looker", "acme-admin", "acme-auditor"},
    "/people/acme-member": {"admin", "looker"},
    "/organizations": {"admin", "looker", "acme-admin", "acme-auditor"},
    "/audit": {"admin", "looker", "acme-admin", "acme-auditor"},
    "/settings": {"admin", "looker"},
}


@pytest.fixture
async def peopled(platform: Platform) -> Platform:
    """Somebody for each role, in two organizations."""
    async with platform.reading() as connection:
        session = platform.session(connection, "test")
        for name in ("acme", "other"):
            await organizations.create(session, OrganizationSpec(name=name))
        for login, role in PLATFORM.items():
            if login != "admin":
                await people.new_person(session, login, PASSWORD, platform_role=role)  # type: ignore[arg-type]
        acme = await organizations.get(connection, "acme")
        other = await organizations.get(connection, "other")
        for login, acme_role in ACME.items():
            await members.create(session, acme, MemberSpec(login=login, role=acme_role, password=PASSWORD))  # type: ignore[arg-type]
        await members.create(session, other, MemberSpec(login="other-admin", role="admin", password=PASSWORD))
        await keys.create(session, acme, KeySpec(name="acme key"))
        await keys.create(session, other, KeySpec(name="other key"))
    return platform


@pytest.fixture
async def operator(peopled: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(peopled) as browser:
        await sign_in(browser)
        yield browser


async def post(browser: httpx.AsyncClient, path: str, *, at: str = "/account", **fields: str) -> httpx.Response:
    """A form of the page `at`."""
    page = await browser.get(f"/console{at}")
    found = re.search(r'name="token" value="([0-9a-f]{64})"', page.text)
    assert found, page.text
    return await browser.post(f"/console{path}", data={"token": found.group(1), **fields})


async def signed_out(browser: httpx.AsyncClient) -> bool:
    """Whether a page of one's own shows the door."""
    return 'autocomplete="current-password"' in (page := (await browser.get("/console/account")).text) and (
        "Personal tokens" not in page
    )


async def invite(platform: Platform, **spec: Any) -> str:
    async with platform.reading() as connection:
        change = await invitations.create(platform.session(connection, "test"), InvitationSpec(**spec))
    assert change.secret
    return change.secret


async def organization_id(platform: Platform, name: str) -> str:
    async with platform.reading() as connection:
        return (await organizations.get(connection, name)).id


@pytest.mark.parametrize("login", [*PLATFORM, *ACME])
async def test_each_role_sees_what_it_may(peopled: Platform, login: str) -> None:
    acme = await organization_id(peopled, "acme")
    async with opened(peopled) as browser:
        assert (await sign_in(browser, login)).status_code == 303
        for path, seers in SEES.items():
            answer = await browser.get(f"/console{path}", follow_redirects=True)
            assert answer.status_code == (200 if login in seers else 403), (login, path)
        inside = await browser.get(f"/console/organizations/{acme}")
        assert inside.status_code == (200 if login in SEES["/organizations"] else 404)
        other = await organization_id(peopled, "other")
        foreign = [f"/organizations/{other}", "/people?organization=other", "/audit?organization=other"]
        for path in foreign:
            status = (await browser.get(f"/console{path}")).status_code
            if login in ACME:
                assert status == 404, (login, path)


CHANGES = {
    "/people/invitations": {"organization": "acme", "role": "admin", "days": "1"},
    "/people/members": {"organization": "acme", "login": "acme-member", "role": "auditor"},
    "/people/acme-member": {"platform_role": "operator"},
    "/people/acme-member/password": {},
    "/people/acme-member/sessions": {"session": "others"},
    "/organizations": {"name": "new", "class": "test", "billing": "prepaid", "currency": "USD", "industry": ""},
}
CHANGERS = {
    "/people/invitations": {"admin", "acme-admin"},
    "/people/members": {"admin", "acme-admin"},
}


@pytest.mark.parametrize("login", [*PLATFORM, *ACME, "other-admin"])
async def test_each_role_changes_what_it_may(peopled: Platform, login: str) -> None:
    async with opened(peopled) as browser:
        await sign_in(browser, login)
        for path, fields in CHANGES.items():
            answer = await post(browser, path, **fields)
            allowed = login in CHANGERS.get(path, {"admin"})
            assert (answer.status_code in (200, 303)) == allowed, (login, path, answer.text)
            if not allowed:
                assert answer.status_code in (403, 404)


async def test_no_form_is_carried_out_without_its_token(operator: httpx.AsyncClient) -> None:
    paths = [*CHANGES, "/account/password", "/account/tokens", "/account/sessions", "/account/tokens/revoke"]
    for path in [*paths, "/people/invitations/revoke", "/people/acme-member/tokens/revoke"]:
        for fields in ({}, {"token": "0" * 64}):
            assert (await operator.post(f"/console{path}", data=fields)).status_code == 403, path
    page = await operator.get("/console/account")
    token = re.search(r'name="token" value="([0-9a-f]{64})"', page.text).group(1)  # type: ignore[union-attr]
    answer = await operator.post(
        "/console/account/tokens",
        data={"token": token, "name": "x", "days": "7"},
        headers={"sec-fetch-site": "cross-site"},
    )
    assert answer.status_code == 403


async def test_an_invitation_makes_a_person_who_is_signed_in(peopled: Platform) -> None:
    token = await invite(peopled, organization="acme", role="member", note="for zoe")
    async with opened(peopled) as browser:
        page = await browser.get(f"/console/invitations/{token}")
        assert "acme" in page.text
        short = await accept(browser, token, login="zoe", password="short")
        assert short.status_code == 400
        assert "12 characters" in short.text
        taken = await accept(browser, token, login="acme-admin", password=PASSWORD)
        assert taken.status_code == 409
        assert (await accept(browser, token, login="zoe", password=PASSWORD)).status_code == 303
        assert "acme: member" in (await browser.get("/console/account")).text
        assert (await browser.get(f"/console/invitations/{token}")).status_code == 404
    async with opened(peopled) as other:
        assert (await other.get(f"/console/invitations/{token}")).status_code == 404
        assert (await other.get("/console/invitations/inv-" + "0" * 64)).status_code == 404


async def accept(browser: httpx.AsyncClient, token: str, **fields: str) -> httpx.Response:
    page = await browser.get(f"/console/invitations/{token}")
    found = re.search(r'name="token" value="([0-9a-f]{64})"', page.text)
    form = found.group(1) if found else ""
    return await browser.post(f"/console/invitations/{token}", data={"token": form, "as": "new", **fields})


async def test_somebody_known_joins_by_password_or_as_they_are_signed_in(peopled: Platform) -> None:
    first, second = await invite(peopled, organization="other"), await invite(peopled, platform_role="auditor")
    async with opened(peopled) as browser:
        wrong = await accept(browser, first, login="acme-member", password="not it at all", **{"as": "known"})
        assert wrong.status_code == 401
        joined = await accept(browser, first, login="acme-member", password=PASSWORD, **{"as": "known"})
        assert joined.status_code == 303
        assert "other: member" in (await browser.get("/console/account")).text
        assert "Join as acme-member" in (await browser.get(f"/console/invitations/{second}")).text
        assert (await accept(browser, second, **{"as": "me"})).status_code == 303
        assert "This platform: auditor" in (await browser.get("/console/account")).text


async def test_of_two_browsers_at_once_one_joins(peopled: Platform) -> None:
    token = await invite(peopled, organization="acme")
    async with opened(peopled) as one, opened(peopled) as two:
        answers = await asyncio.gather(
            accept(one, token, login="first", password=PASSWORD), accept(two, token, login="second", password=PASSWORD)
        )
    assert sorted(answer.status_code for answer in answers) == [303, 404]


async def test_invitation_forms_are_throttled(peopled: Platform) -> None:
    token = await invite(peopled, organization="acme")
    async with opened(peopled) as browser:
        statuses = [
            (
                await accept(browser, token, login=f"guess-{number}", password="wrong-password", **{"as": "known"})
            ).status_code
            for number in range(PER_LOGIN.burst + 2)
        ]
    assert statuses[0] == 401
    assert statuses[-1] == 403


async def test_a_link_made_in_the_console_works_once(peopled: Platform, operator: httpx.AsyncClient) -> None:
    answer = await post(operator, "/people/invitations", role="auditor", days="7", note="<b>zoe</b>")
    link = re.search(r"http://console\.test:8080/console/invitations/inv-[0-9a-f]{64}", answer.text)
    assert link
    assert "&lt;b&gt;zoe" in answer.text
    assert link.group(0) not in (await operator.get("/console/people")).text
    async with opened(peopled) as browser:
        joined = await accept(browser, link.group(0).rsplit("/", 1)[1], login="zoe", password=PASSWORD)
        assert joined.status_code == 303
        assert (await browser.get("/console/audit")).status_code == 200
    bad = await post(operator, "/people/invitations", role="admin", days="7")
    assert bad.status_code == 400


async def test_ones_own_account(peopled: Platform) -> None:
    async with opened(peopled) as browser, opened(peopled) as elsewhere:
        for each in (browser, elsewhere):
            await sign_in(each, "acme-member", **{"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})
        page = (await browser.get("/console/account")).text
        assert page.count("Firefox on Linux") == 2
        wrong = await post(browser, "/account/password", former="wrong", wanted="another-password")
        assert wrong.status_code == 403
        assert "another one" in wrong.text
        done = await post(browser, "/account/password", former=PASSWORD, wanted="another-password")
        assert done.status_code == 303
        assert not await signed_out(browser)
        assert await signed_out(elsewhere)
        assert (await sign_in(elsewhere, "acme-member", "another-password")).status_code == 303
        session = re.findall(r'name="session" value="(ses_[0-9a-z]+)"', (await browser.get("/console/account")).text)
        assert len(session) == 2
        assert (await post(browser, "/account/sessions", session="others")).status_code == 303
        assert await signed_out(elsewhere)
        assert (await post(browser, "/account/sessions", session="ses_none")).status_code == 404


async def test_anothers_session_and_token_are_not_there(peopled: Platform, operator: httpx.AsyncClient) -> None:
    async with opened(peopled) as browser:
        await sign_in(browser, "acme-member")
        await post(browser, "/account/tokens", name="mine", days="7")
        page = (await browser.get("/console/account")).text
        session = re.search(r'name="session" value="(ses_[0-9a-z]+)"', page).group(1)  # type: ignore[union-attr]
        token = re.search(r'name="id" value="(pat_[0-9a-z]+)"', page).group(1)  # type: ignore[union-attr]
        assert (await post(operator, "/account/sessions", session=session)).status_code == 404
        assert (await post(operator, "/account/tokens/revoke", id=token)).status_code == 404
        assert (await post(operator, "/people/acme-member/tokens/revoke", id=token)).status_code == 303
        assert (await post(operator, "/people/acme-member/sessions", session=session)).status_code == 303
        assert await signed_out(browser)


async def test_a_personal_token_reads_and_never_changes(peopled: Platform) -> None:
    async with opened(peopled) as browser:
        await sign_in(browser, "acme-admin")
        made = await post(browser, "/account/tokens", name="<i>ci<i>", days="7")
        secret = re.search(r"pat-[0-9a-f]{64}", made.text)
        assert secret
        assert "&lt;i&gt;ci" in made.text
        assert secret.group(0) not in (await browser.get("/console/account")).text
    bearer = {"authorization": f"Bearer {secret.group(0)}"}
    async with opened(peopled) as shell:
        answer = await shell.get("/console/people?as=json", headers=bearer)
        assert {row["login"] for row in answer.json()["data"]} == set(ACME)
        assert "set-cookie" not in answer.headers
        csv = (await shell.get("/console/people?as=csv", headers=bearer)).text
        assert csv.splitlines()[0] == "login,role,state,created_at"
        for path in ("/people/invitations", "/account/tokens", "/account/password"):
            refused = await shell.post(f"/console{path}", headers=bearer, data={"organization": "acme"})
            assert refused.status_code == 401
        for wrong in ("Bearer pat-" + "0" * 64, "Bearer adm-" + "0" * 64, "Basic eDp5", "Bearer"):
            assert (await shell.get("/console/people?as=json", headers={"authorization": wrong})).status_code == 401
        async with peopled.reading() as connection:
            await connection.execute("UPDATE personal_token SET expires_at = now() - interval '1 second'")
        assert (await shell.get("/console/people?as=json", headers=bearer)).status_code == 401


async def test_an_organization_sees_its_own_trail_only(peopled: Platform, operator: httpx.AsyncClient) -> None:
    every = (await operator.get("/console/audit?as=json")).json()["data"]
    assert {"acme key", "other key"} <= {row["subject"].rsplit("/", 1)[-1] for row in every}
    async with opened(peopled) as browser:
        await sign_in(browser, "acme-auditor")
        mine = (await browser.get("/console/audit?as=json")).json()["data"]
        assert any("acme key" in row["subject"] for row in mine)
        assert not [row for row in mine if "other" in json.dumps(row)]
        assert not [row for row in mine if row["action"].startswith("console.")]


async def test_the_trail_is_filtered_and_shows_before_and_after(peopled: Platform, operator: httpx.AsyncClient) -> None:
    acme = await organization_id(peopled, "acme")
    done = await post(operator, f"/organizations/{acme}", industry=PAYLOADS[0], billing="postpaid", disabled="no")
    assert done.status_code == 303
    page = (await operator.get("/console/audit?action=organization.update")).text
    assert "<del>prepaid</del>" in page
    assert "<ins>postpaid</ins>" in page
    assert PAYLOADS[0] not in page
    assert "&lt;script&gt;" in page
    rows = (await operator.get("/console/audit?as=json&actor=person admin&action=organization.update")).json()["data"]
    assert len(rows) == 1
    assert (await operator.get("/console/audit?as=json&since=2000-01-01&until=2000-01-02")).json()["data"] == []
    assert (await operator.get("/console/audit?since=yesterday")).status_code == 400
    assert (await operator.get("/console/audit?after=x")).status_code == 200


async def test_lists_are_searched_and_turned_page_by_page(peopled: Platform, operator: httpx.AsyncClient) -> None:
    async with peopled.reading() as connection:
        session = peopled.session(connection, "test")
        for number in range(60):
            await organizations.create(session, OrganizationSpec(name=f"shop {number:02}"))
    first = (await operator.get("/console/organizations?as=json&q=Shop")).json()
    assert len(first["data"]) == 50
    second = (await operator.get(f"/console/organizations?as=json&q=Shop&after={first['after']}")).json()
    names = [row["name"] for row in first["data"] + second["data"]]
    assert names == [f"shop {number:02}" for number in range(60)]
    assert second["after"] == ""
    page = await operator.get("/console/organizations?q=Shop")
    assert 'rel="next"' in page.text


async def test_names_that_are_markup_are_shown_as_text(peopled: Platform, operator: httpx.AsyncClient) -> None:
    for number, payload in enumerate(PAYLOADS):
        name = payload.replace("/", "")
        async with peopled.reading() as connection:
            session = peopled.session(connection, "test")
            await organizations.create(session, OrganizationSpec(name=name, industry=payload))
            owner = await organizations.get(connection, name)
            await members.create(session, owner, MemberSpec(login=name, role="admin", password=PASSWORD))
            person = await people.get(connection, name)
            await personal_tokens.create(session, person, TokenSpec(name=name))
        async with opened(peopled) as browser:
            await sign_in(browser, name)
            own = [f"/organizations/{owner.id}", "/people", "/audit", "/account"]
            shown = [await browser.get(f"/console{path}") for path in own]
        shown += [await operator.get(f"/console{path}") for path in ("/organizations", "/people", "/audit")]
        shown.append(await operator.get(f"/console/organizations/{owner.id}"))
        for answer in shown:
            assert answer.status_code == 200, number
            assert payload not in answer.text or number == 2
            assert "49$49" not in answer.text


async def test_the_running_settings_without_their_secrets(operator: httpx.AsyncClient, peopled: Platform) -> None:
    rows = {row["name"]: row for row in (await operator.get("/console/settings?as=json")).json()["data"]}
    assert rows["port"]["value"] == "8080"
    assert rows["port"]["meaning"]
    assert rows["data_dir"]["value"] == peopled.settings.data_dir


async def test_an_operator_manages_a_person(peopled: Platform, operator: httpx.AsyncClient) -> None:
    async with opened(peopled) as browser:
        await sign_in(browser, "teller")
        assert (await post(operator, "/people/teller", platform_role="auditor", disabled="no")).status_code == 303
        assert (await browser.get("/console/settings")).status_code == 200
        reset = await post(operator, "/people/teller/password")
        assert "shown this once" in reset.text
        assert await signed_out(browser)
        assert (await post(operator, "/people/teller", platform_role="auditor", disabled="yes")).status_code == 303
        assert (await sign_in(browser, "teller")).status_code == 401
    last = await post(operator, "/people/admin", platform_role="", disabled="no")
    assert last.status_code == 400
    assert "last operator" in last.text
    assert (await operator.get("/console/people/nobody")).status_code == 404


async def test_language_and_theme_follow_the_person(peopled: Platform) -> None:
    async with opened(peopled) as browser:
        await sign_in(browser, "acme-admin")
        await post(browser, "/preferences", locale="zh_CN", theme="dark", back="/console/account")
    async with opened(peopled) as elsewhere:
        await sign_in(elsewhere, "acme-admin")
        page = (await elsewhere.get("/console/account")).text
    assert '<html lang="zh-CN" data-theme="dark">' in page
    assert "个人令牌" in page

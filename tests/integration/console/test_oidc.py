"""Signing in by an issuer's account, against a provider that signs real tokens, and lies where it is told to."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest

from arkwright.basics.settings import Settings
from arkwright.console.throttle import PER_LOGIN
from arkwright.control import invitations, organizations, people
from arkwright.control.invitations import InvitationSpec
from arkwright.control.organizations import OrganizationSpec
from arkwright.control.platform import Platform
from arkwright.store import people as people_store
from tests.doubles.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, provider
from tests.integration.console.browsers import PASSWORD, opened

pytestmark = pytest.mark.anyio
STRANGER = "nobody here has this account"


@pytest.fixture
async def issuer() -> AsyncIterator[Provider]:
    async with provider() as made:
        yield made


@pytest.fixture
async def joined(platform: Platform, issuer: Provider) -> Platform:
    """A platform with an issuer, the organization acme, and ann, who has a password here as well."""
    configure(platform, issuer)
    async with platform.reading() as connection:
        session = platform.session(connection, "test")
        await organizations.create(session, OrganizationSpec(name="acme"))
        await people.new_person(session, "ann@acme.test", PASSWORD)
    return platform


def configure(platform: Platform, issuer: Provider, **more: Any) -> None:
    platform.settings = msgspec.structs.replace(
        platform.settings,
        oidc_issuer=issuer.issuer,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=CLIENT_SECRET,
        oidc_name="Acme ID",
        **more,
    )


async def depart(browser: httpx.AsyncClient, **query: str) -> str:
    """The address at the issuer."""
    answer = await browser.get("/console/sign-in/oidc", params=query)
    assert answer.status_code == 303, answer.text
    cookie = next(each for each in answer.headers.get_list("set-cookie") if each.startswith("arkwright_oidc="))
    assert "httponly" in cookie.lower()
    assert "samesite=lax" in cookie.lower()
    return answer.headers["location"]


async def at_issuer(address: str) -> str:
    """Where the issuer sends the browser back to."""
    async with httpx.AsyncClient() as outside:
        answer = await outside.get(address)
    assert answer.status_code == 302
    return answer.headers["location"]


async def come(browser: httpx.AsyncClient, **query: str) -> httpx.Response:
    return await browser.get(await at_issuer(await depart(browser, **query)))


def reason(answer: httpx.Response) -> str:
    found = re.search(r'role="alert"[^>]*>\s*(.*?)\s*</p>', answer.text, re.DOTALL)
    assert found, answer.text
    return found.group(1)


async def actions(platform: Platform) -> list[tuple[str, str]]:
    async with platform.reading() as connection:
        rows = await connection.execute("SELECT actor, action FROM audit_log ORDER BY id")
        return [(row[0], row[1]) for row in await rows.fetchall()]


async def test_a_known_person_comes_in_by_their_verified_address(joined: Platform, issuer: Provider) -> None:
    async with opened(joined) as browser:
        assert "Acme ID" in (await browser.get("/console")).text
        answer = await come(browser)
        assert answer.status_code == 200
        assert answer.headers["refresh"] == "0;url=/console"
        assert "samesite=strict" in str(answer.headers.get_list("set-cookie")).lower()
        assert "ann@acme.test" in (await browser.get("/console/account")).text
    assert ("person ann@acme.test", "console.sign_in") in await actions(joined)
    issuer.claims["email"] = "other@acme.test"  # From now on the account counts, whatever its address.
    async with opened(joined) as again:
        await come(again)
        assert "ann@acme.test" in (await again.get("/console/account")).text


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"iss": "https://evil.test"},
        {"aud": "somebody-else"},
        {"exp": 1},
        {"iat": 99_999_999_999},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"aud": ["console", "other"], "azp": "other"},
        {"sub": ""},
    ],
)
async def test_a_token_that_lies_lets_nobody_in(joined: Platform, issuer: Provider, lie: dict[str, Any]) -> None:
    issuer.lies = lie
    await refused(joined)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_a_token_that_no_key_of_the_issuer_signed_lets_nobody_in(
    joined: Platform, issuer: Provider, algorithm: str
) -> None:
    issuer.algorithm = algorithm
    await refused(joined)


async def test_a_forged_signature_lets_nobody_in(joined: Platform, issuer: Provider) -> None:
    issuer.forged = True
    await refused(joined)


async def refused(platform: Platform) -> None:
    async with opened(platform) as browser:
        answer = await come(browser)
        assert answer.status_code == 403
        assert "does not fit" in reason(answer)
        assert "arkwright_session" not in browser.cookies
    assert "console.sign_in" not in [action for _actor, action in await actions(platform)]


async def test_a_key_that_came_since_is_fetched(joined: Platform, issuer: Provider) -> None:
    async with opened(joined) as browser:
        assert (await come(browser)).status_code == 200
        issuer.rotate()
        browser.cookies.clear()
        assert (await come(browser)).status_code in (200, 403)  # Keys are asked for once a minute at most.
    assert issuer.asked.count("/keys") <= 2


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda url: url.replace("state=", "state=x"), 403),
        (lambda url: re.sub(r"code=[^&]*", "code=wrong", url), 502),
        (lambda url: re.sub(r"iss=[^&]*", "iss=https%3A%2F%2Fevil.test", url), 403),
        (lambda url: re.sub(r"code=[^&]*", "error=access_denied", url), 403),
    ],
)
async def test_what_comes_back_has_to_be_what_was_sent(
    joined: Platform, issuer: Provider, change: Callable[[str], str], status: int
) -> None:
    async with opened(joined) as browser:
        back = change(await at_issuer(await depart(browser)))
        assert (await browser.get(back)).status_code == status
        assert "arkwright_session" not in browser.cookies


async def test_another_browser_and_a_second_time_get_nothing(joined: Platform, issuer: Provider) -> None:
    async with opened(joined) as browser, opened(joined) as victim:
        back = await at_issuer(await depart(browser))
        assert (await victim.get(back)).status_code == 403
        assert (await browser.get(back)).status_code == 200
        browser.cookies.clear()
        assert (await browser.get(back)).status_code == 403


async def test_a_code_is_redeemed_by_its_verifier(joined: Platform, issuer: Provider) -> None:
    async with opened(joined) as browser:
        address = await depart(browser)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["code_challenge_method"] == "S256"
        back = await at_issuer(address.replace(asked["code_challenge"], "A" * 43))
        assert (await browser.get(back)).status_code == 502


@pytest.mark.parametrize(
    ("claims", "settings", "told"),
    [
        ({"email": "eve@acme.test"}, {}, STRANGER),
        ({"email_verified": False}, {}, STRANGER),
        ({"email_verified": "true"}, {}, STRANGER),
        ({"email": "ann@evil.test"}, {"oidc_domains": ("acme.test",)}, "of no domain"),
        ({"email_verified": False}, {"oidc_domains": ("acme.test",)}, "of no domain"),
    ],
)
async def test_a_stranger_stays_outside(
    joined: Platform, issuer: Provider, claims: dict[str, Any], settings: dict[str, Any], told: str
) -> None:
    configure(joined, issuer, **settings)
    issuer.claims |= claims
    async with opened(joined) as browser:
        answer = await come(browser)
        assert answer.status_code == 403
        assert told in reason(answer)
    async with joined.reading() as connection:
        assert await people.find(connection, "eve@acme.test") is None


async def test_a_disabled_person_stays_outside(joined: Platform, issuer: Provider) -> None:
    async with joined.reading() as connection:
        await connection.execute("UPDATE person SET disabled = true WHERE login = 'ann@acme.test'")
    async with opened(joined) as browser:
        assert (await come(browser)).status_code == 403


async def test_an_invitation_lets_a_new_account_in(joined: Platform, issuer: Provider) -> None:
    issuer.claims = {"sub": "sub-eve", "email": "eve@acme.test", "email_verified": True}
    async with joined.reading() as connection:
        change = await invitations.create(
            joined.session(connection, "test"), InvitationSpec(organization="acme", role="auditor")
        )
    assert change.secret
    async with opened(joined) as browser:
        assert f"invitation={change.secret}" in (await browser.get(f"/console/invitations/{change.secret}")).text
        assert (await come(browser, invitation=change.secret)).status_code == 200
        page = (await browser.get("/console/account")).text
        assert "acme: auditor" in page
        assert "there is no password here" in page
    async with opened(joined) as again:
        answer = await come(again, invitation=change.secret)
        assert answer.status_code == 404
    async with joined.reading() as connection:
        eve = await people.get(connection, "eve@acme.test")
        assert await people_store.memberships(connection, eve.id)
        assert not await people.password_fits(eve.password_hash, "")


async def test_joining_by_the_settings(joined: Platform, issuer: Provider) -> None:
    configure(joined, issuer, oidc_domains=("acme.test",), oidc_auto_join="acme:member")
    issuer.claims = {"sub": "sub-eve", "email": "Eve@Acme.test", "email_verified": True}
    async with opened(joined) as browser:
        assert (await come(browser)).status_code == 200
        assert "acme: member" in (await browser.get("/console/account")).text


async def test_a_claim_gives_roles_and_takes_them_away(joined: Platform, issuer: Provider) -> None:
    configure(joined, issuer, oidc_roles=("ops=operator", "acme-admins=acme:admin", "acme-staff=acme:member"))
    for groups, role, inside in (
        (["acme-staff", "acme-admins", "ops"], "operator", {"acme": "admin"}),
        (["acme-staff"], "", {"acme": "member"}),
        ([], "", {}),
        ("ops", "operator", {}),
    ):
        issuer.claims["groups"] = groups
        async with opened(joined) as browser:
            assert (await come(browser)).status_code == 200
        async with joined.reading() as connection:
            ann = await people.get(connection, "ann@acme.test")
            found = await people_store.memberships(connection, ann.id)
        assert ann.platform_role == role, groups
        assert {each.name: each.role for each in found} == inside, groups
    log = await actions(joined)
    assert ("person ann@acme.test", "member.delete") in log
    assert ("person ann@acme.test", "person.update") in log


async def test_the_last_operator_stays_one(joined: Platform, issuer: Provider) -> None:
    configure(joined, issuer, oidc_roles=("ops=operator",))
    async with joined.reading() as connection:
        await connection.execute("UPDATE person SET platform_role = 'operator' WHERE login = 'ann@acme.test'")
        await connection.execute("UPDATE person SET platform_role = '' WHERE login <> 'ann@acme.test'")
    async with opened(joined) as browser:
        assert (await come(browser)).status_code == 200
    async with joined.reading() as connection:
        assert (await people.get(connection, "ann@acme.test")).platform_role == "operator"


@pytest.mark.parametrize(
    "lie",
    [
        {"issuer": "https://evil.test"},
        {"token_endpoint": "http://evil.test/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"padding": "x" * 600_000},
    ],
)
async def test_an_issuer_that_is_not_what_it_should_be(joined: Platform, issuer: Provider, lie: dict[str, Any]) -> None:
    issuer.metadata_lies = lie
    async with opened(joined) as browser:
        assert (await browser.get("/console/sign-in/oidc")).status_code == 502


async def test_a_setting_that_says_no_role_is_told_at_the_door(joined: Platform, issuer: Provider) -> None:
    configure(joined, issuer, oidc_roles=("ops=emperor",))
    async with opened(joined) as browser:
        answer = await browser.get("/console/sign-in/oidc")
    assert answer.status_code == 500
    assert "emperor" in reason(answer)


async def test_a_morning_of_many_is_not_throttled(joined: Platform, issuer: Provider) -> None:
    for _ in range(2 * PER_LOGIN.burst):
        async with opened(joined) as browser:
            assert (await depart(browser)).startswith(issuer.issuer)


async def test_without_an_issuer_there_is_no_such_way(platform: Platform) -> None:
    async with opened(platform) as browser:
        assert "sign-in/oidc" not in (await browser.get("/console")).text
        assert (await browser.get("/console/sign-in/oidc")).status_code == 404
        assert (await browser.get("/console/sign-in/oidc/callback?code=a&state=b")).status_code == 404


async def test_callbacks_are_throttled(joined: Platform, issuer: Provider) -> None:
    async with opened(joined) as browser:
        statuses = [(await browser.get("/console/sign-in/oidc/callback?code=a&state=b")).status_code for _ in range(12)]
    assert statuses[0] == 403
    assert 429 in statuses


def test_the_secret_is_shown_nowhere() -> None:
    from arkwright.basics import settings

    told = settings.described(Settings(oidc_client_secret="hush-hush", database_url="postgresql://u:pw@h/d"))
    assert "hush-hush" not in str(told)
    assert "pw" not in str([row for row in told if row.name == "database_url"])

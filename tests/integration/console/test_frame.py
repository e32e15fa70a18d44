"""The console as a browser meets it: shut doors, forms of ours, numbers that agree, names that are text."""

import html
import re

import httpx
import psycopg
import pytest

from arkwright.basics import secrets
from arkwright.console import sessions
from arkwright.console.throttle import LOGINS_MAX, OVERALL, PER_LOGIN, Throttle
from arkwright.control.platform import Platform
from tests.doubles.money import add_organization
from tests.integration.console.browsers import PASSWORD, form_token, opened, sign_in

pytestmark = pytest.mark.anyio

REFUSED = [
    ("admin", "wrong"),
    ("nobody", PASSWORD),
    ("former", PASSWORD),
    ("", ""),
]
PAYLOADS = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}${7*7}", "'--><svg onload=alert(1)>"]


async def test_an_operator_gets_in_and_out(browser: httpx.AsyncClient, platform: Platform) -> None:
    assert "Sign in" in (await browser.get("/console")).text
    answer = await sign_in(browser)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    cookies = {cookie.split("=")[0]: cookie for cookie in answer.headers.get_list("set-cookie")}
    kept = cookies["arkwright_session"]
    assert all(word in kept.lower() for word in ("httponly", "samesite=strict", "path=/console", "max-age=43200"))
    assert "secure" not in kept.lower()
    page = await browser.get("/console")
    assert page.status_code == 200
    assert "Overview" in page.text
    assert "http://console.test:8080/v1" in page.text
    for taught in ("They were not checked yet", "arkwright up --model", "arkwright orgs create"):
        assert taught in page.text
    async with platform.reading() as connection:
        stored = await (await connection.execute("SELECT token_sha256 FROM console_session")).fetchone()
        noted = await (await connection.execute("SELECT actor, action FROM audit_log ORDER BY id DESC")).fetchone()
    assert stored is not None
    assert browser.cookies["arkwright_session"].encode() not in bytes(stored[0])
    assert noted == ("person admin", "console.sign_in")
    out = await browser.post("/console/sign-out", data={"token": await form_token(browser)})
    assert out.status_code == 303
    assert "Sign in" in (await browser.get("/console")).text


async def test_the_cookie_is_secure_where_the_way_was(platform: Platform) -> None:
    async with opened(platform, "https://console.test") as browser:
        answer = await sign_in(browser, **{"x-forwarded-proto": "https"})
        assert all("secure" in cookie.lower() for cookie in answer.headers.get_list("set-cookie"))
        page = await browser.get("/console", headers={"x-forwarded-proto": "https"})
    assert "https://console.test/v1" in page.text


async def test_whoever_is_refused_is_refused_alike_after_the_same_work(
    browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    real = secrets.password_matches

    def watched(password_hash: str, password: str) -> bool:
        checked.append(password_hash)
        return real(password_hash, password)

    monkeypatch.setattr(secrets, "password_matches", watched)
    complaints = set()
    for login, password in REFUSED:
        answer = await sign_in(browser, login, password)
        assert answer.status_code == 401, login
        complaints.add(re.search(r'role="alert"[^>]*>\s*(.*?)\s*</p>', answer.text, re.DOTALL).group(1))  # type: ignore[union-attr]
    assert complaints == {"Login or password is wrong."}
    assert len(checked) == len(REFUSED)
    assert all(password_hash.startswith("$argon2id$") for password_hash in checked)
    assert "arkwright_session" not in browser.cookies


async def test_a_login_that_nobody_can_have_is_refused_before_any_work(browser: httpx.AsyncClient) -> None:
    assert (await sign_in(browser, "a\0b", "c")).status_code == 400


async def test_guessing_is_slowed_down_for_one_login_and_not_for_another(browser: httpx.AsyncClient) -> None:
    tried = [await sign_in(browser, "nobody", "guess") for _ in range(PER_LOGIN.burst + 1)]
    assert [answer.status_code for answer in tried] == [401] * PER_LOGIN.burst + [429]
    assert 0 < int(tried[-1].headers["retry-after"]) <= PER_LOGIN.every_s
    assert "Too many attempts" in tried[-1].text
    assert (await sign_in(browser)).status_code == 303


async def test_a_throttle_counts_attempts_of_one_moment_and_forgets_in_bounds() -> None:
    throttle = Throttle()
    assert [throttle.admit("a", 0.0) for _ in range(PER_LOGIN.burst)] == [0] * PER_LOGIN.burst
    assert throttle.admit("a", 0.0) == PER_LOGIN.every_s
    assert throttle.admit("a", PER_LOGIN.every_s) == 0
    assert throttle.admit("a", PER_LOGIN.every_s) > 0
    throttle.forgive("a")
    assert throttle.admit("a", PER_LOGIN.every_s) == 0
    everybody = Throttle()
    admitted = [everybody.admit(f"login {number}", 0.0) == 0 for number in range(3 * LOGINS_MAX)]
    assert sum(admitted) == OVERALL.burst
    assert len(everybody._logins) <= LOGINS_MAX


async def test_a_form_that_is_not_ours_does_nothing(browser: httpx.AsyncClient, platform: Platform) -> None:
    good = {"login": "admin", "password": PASSWORD}
    assert (await browser.post("/console/sign-in", data=good)).status_code == 403
    assert (await browser.post("/console/sign-in", data={**good, "token": "0" * 64})).status_code == 403
    token = await form_token(browser)
    assert (await sign_in(browser, **{"sec-fetch-site": "cross-site"})).status_code == 403
    async with opened(platform) as other:
        await form_token(other)
        assert (await other.post("/console/sign-in", data={**good, "token": token})).status_code == 403
    assert (
        await browser.post("/console/sign-in", content=b"\xff\xfe", headers={"content-type": "x"})
    ).status_code == 403
    assert "arkwright_session" not in browser.cookies
    assert (await sign_in(browser)).status_code == 303
    for fields in ({}, {"token": token}, {"token": sessions.form_token("x" * 43)}):
        refused = await browser.post("/console/sign-out", data=fields)
        assert refused.status_code == 403
        assert "Nothing was done" in refused.text
    assert "Overview" in (await browser.get("/console")).text


async def test_a_session_ends_when_it_should(platform: Platform) -> None:
    async with opened(platform) as one, opened(platform) as two:
        for browser in (one, two):
            assert (await sign_in(browser)).status_code == 303
        first = one.cookies["arkwright_session"]
        stale = sessions.form_token(first)
        assert (await one.post("/console/sign-out", data={"token": stale, "everywhere": "yes"})).status_code == 303
        assert "Sign in" in (await two.get("/console")).text
        assert await _ended(two, first)
        for change in (
            "UPDATE console_session SET expires_at = now() - interval '1 second'",
            "UPDATE person SET disabled = true WHERE login = 'admin'",
        ):
            assert (await sign_in(two)).status_code == 303
            async with platform.database.connection() as connection:
                await connection.execute(change)
            assert "Sign in" in (await two.get("/console")).text
            two.cookies.clear()
            async with platform.database.connection() as connection:
                await connection.execute("UPDATE person SET disabled = false WHERE login = 'admin'")


async def test_signing_in_again_ends_the_former_session_of_theopened(
    browser: httpx.AsyncClient, platform: Platform
) -> None:
    await sign_in(browser)
    former = browser.cookies["arkwright_session"]
    async with opened(platform) as again:
        token = await form_token(again)
        again.cookies.set("arkwright_session", former, domain="console.test", path="/console")
        fields = {"token": token, "login": "admin", "password": PASSWORD}
        assert (await again.post("/console/sign-in", data=fields)).status_code == 303
    assert await _ended(browser, former)


async def _ended(browser: httpx.AsyncClient, token: str) -> bool:
    browser.cookies.clear()
    page = await browser.get("/console", headers={"cookie": f"arkwright_session={token}"})
    return "Sign in" in page.text


async def test_names_are_text_wherever_they_are_shown(browser: httpx.AsyncClient, platform: Platform) -> None:
    async with platform.database.connection() as connection:
        for number, payload in enumerate(PAYLOADS):
            await add_organization(connection, payload)
            await connection.execute(
                "INSERT INTO provider (id, name, kind, base_url) VALUES (%s, %s, 'openai_compatible', 'http://x/v1')",
                (f"provider_{number}", payload),
            )
            await connection.execute(
                "INSERT INTO model (id, name, kind, provider_id, upstream_name, context_tokens)"
                " VALUES (%s, %s, 'chat', %s, 'm', 10)",
                (f"model_{number}", payload, f"provider_{number}"),
            )
    await sign_in(browser)
    page = "".join([(await browser.get(f"/console{path}")).text for path in ("", "/providers", "/deployments")])
    for payload in PAYLOADS:
        assert page.count(str(html.escape(payload).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"))) >= 3
        assert "{{" in payload or payload not in page
    assert not re.search(r"<(script>|svg onload|img src=x)", page)
    assert "49" not in re.sub(r"[0-9a-f]{12,}|\d\d:\d\d:\d\d", "", page)
    echoed = await browser.post("/console/sign-in", data={"login": PAYLOADS[1]})
    assert "<img src=x" not in echoed.text
    kept = f"arkwright_session={browser.cookies['arkwright_session']}"
    for host in ('a"><b>', "under_score"):
        hostile = await browser.get("/console", headers={"host": host, "cookie": kept})
        assert host not in hostile.text
        assert hostile.status_code == 400 or "http://127.0.0.1:8080/v1" in hostile.text


async def test_every_answer_wears_the_headers(browser: httpx.AsyncClient) -> None:
    pages = [
        await browser.get("/console"),
        await browser.get("/console/none"),
        await browser.post("/console/sign-out"),
        await browser.post("/console/sign-in", content=b"x" * 300_000),
        await sign_in(browser),
        await browser.get("/console"),
    ]
    assert [page.status_code for page in pages] == [200, 404, 403, 413, 303, 200]
    styles = re.search(r'href="(/console/static/console.css[^"]*)"', pages[0].text)
    assert styles is not None
    sheet = await browser.get(styles.group(1))
    assert sheet.headers["content-type"] == "text/css; charset=utf-8"
    assert pages[0].headers["content-type"] == "text/html; charset=utf-8"
    assert "immutable" in sheet.headers["cache-control"]
    assert (await browser.get("/console/static/..%2frendering.py")).status_code == 404
    for page in [*pages, sheet]:
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "script-src 'self';" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["x-request-id"]
        assert page is sheet or page.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?! type=\"module\" src=\"/console/static/)", page.text)
        assert not re.search(r" (style|on[a-z]+)=", page.text) or page is sheet


async def test_a_database_that_is_away_is_told_in_words(
    browser: httpx.AsyncClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sign_in(browser)

    def gone(*_: object) -> None:
        raise psycopg.OperationalError("gone")

    monkeypatch.setattr(platform, "reading", gone)
    answer = await browser.get("/console")
    assert answer.status_code == 503
    assert "The database does not answer" in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_language_and_theme_are_chosen_on_a_page_and_kept(browser: httpx.AsyncClient) -> None:
    asked = await browser.get("/console", headers={"accept-language": "zh-CN,zh;q=0.9"})
    assert '<html lang="zh-CN" data-theme="auto">' in asked.text
    await sign_in(browser)
    token = await form_token(browser)
    for fields in ({"locale": "zh_CN"}, {"theme": "dark"}):
        answer = await browser.post("/console/preferences", data={"token": token, "back": "/console?a=b", **fields})
        assert (answer.status_code, answer.headers["location"]) == (303, "/console?a=b")
    page = (await browser.get("/console")).text
    assert '<html lang="zh-CN" data-theme="dark">' in page
    assert "退出登录" in page
    assert (await browser.post("/console/preferences", data={"locale": "en"})).status_code == 403


@pytest.mark.parametrize(
    "back", ["//evil.test/console", "https://evil.test/console", "/console\\@evil", "/other", "/console\r\nx: y", ""]
)
async def test_a_form_leads_nowhere_else(browser: httpx.AsyncClient, back: str) -> None:
    await sign_in(browser)
    token = await form_token(browser)
    answer = await browser.post("/console/preferences", data={"token": token, "back": back, "theme": "dark"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")


async def test_signing_in_leads_on_to_the_page_that_was_asked_for(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/console/jump?q=over")
    assert (page.status_code, page.text.count('value="/console/jump?q=over"')) == (200, 1)
    fields = {"token": await form_token(browser), "login": "admin", "back": "/console/jump?q=over"}
    wrong = await browser.post("/console/sign-in", data={**fields, "password": "wrong"})
    assert 'value="/console/jump?q=over"' in wrong.text
    answer = await browser.post("/console/sign-in", data={**fields, "password": PASSWORD})
    assert answer.headers["location"] == "/console/jump?q=over"
    assert "Overview" in (await browser.get("/console/jump?q=over&part=1")).text


async def test_a_script_that_is_not_signed_in_is_told_so_as_data(browser: httpx.AsyncClient) -> None:
    answer = await browser.get("/console?as=json")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"


async def test_files_are_zipped_for_who_takes_that(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/console")).text
    address = re.search(r'src="(/console/static/console.js[^"]*)"', page).group(1)  # type: ignore[union-attr]
    zipped = await browser.get(address)
    plain = await browser.get(address, headers={"accept-encoding": "identity"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert zipped.text == plain.text
    assert plain.headers["content-type"].startswith("text/javascript")


async def test_a_field_may_have_lines_but_no_other_control_character(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    token = await form_token(browser)
    for value, status in (("a\r\n\tb", 303), ("a\x1bb", 400), ("a\x00b", 400)):
        answer = await browser.post("/console/preferences", data={"token": token, "theme": value})
        assert answer.status_code == status, value

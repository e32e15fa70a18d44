"""The playground's doors: who may have its key, for how long, what a request cost, and its code."""

import ast
import html
import json
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from arkwright.basics.clock import now_us
from arkwright.basics.ids import request_id, secret_sha256
from arkwright.console import sessions
from arkwright.control.platform import Platform
from arkwright.domain.metering import Usage
from arkwright.domain.tenancy import Role
from arkwright.store import tenancy
from tests.doubles.traffic import request, write
from tests.integration.console.roles import become
from tests.integration.console.test_models import shop

pytestmark = pytest.mark.anyio
__all__ = ["shop"]


def token_of(browser: httpx.AsyncClient) -> str:
    return sessions.form_token(browser.cookies["arkwright_session"])


async def key(browser: httpx.AsyncClient, organization: str = "", **headers: str) -> httpx.Response:
    query = {"organization": organization} if organization else {}
    form = {"token": token_of(browser)}
    return await browser.post("/console/playground/key", params=query, data=form, headers=headers)


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("member", 200), ("billing", 403), ("auditor", 403)])
async def test_a_key_is_for_who_may_play(
    shop: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, role: Role, status: int
) -> None:
    become(monkeypatch, ("org_a", role))
    assert (await shop.get("/console/playground")).status_code == status
    answer = await key(shop)
    assert answer.status_code == (201 if status == 200 else status)
    assert ("ak-" in answer.text) == (status == 200)


async def test_a_key_is_told_once_asked_and_kept_in_no_page(shop: httpx.AsyncClient, platform: Platform) -> None:
    answer = await key(shop, "org_a")
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert datetime.fromisoformat(told["expires_at"]) <= datetime.now(UTC) + timedelta(hours=1)
    assert (await key(shop, "org_a")).json() == told
    async with platform.reading() as connection:
        found = await tenancy.key_by_secret(connection, secret_sha256(told["secret"]))
        noted = await (
            await connection.execute("SELECT actor, action, after::text FROM audit_log ORDER BY id")
        ).fetchall()
    assert found is not None
    assert (found.organization_id, found.name) == ("org_a", "playground of admin")
    assert ("person admin", "key.create") in {(row.actor, row.action) for row in noted}
    assert told["secret"] not in str(noted)
    page = await shop.get("/console/playground", params={"organization": "org_a"})
    assert told["secret"] not in page.text


async def test_no_key_without_an_organization_a_form_or_a_session(
    shop: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "For which organization?" in (await shop.get("/console/playground")).text
    assert (await key(shop)).status_code == 400
    assert (await key(shop, "org_a", **{"sec-fetch-site": "cross-site"})).status_code == 403
    assert (await shop.post("/console/playground/key?organization=org_a", data={})).status_code == 403
    become(monkeypatch, ("org_a", "member"))
    assert (await key(shop, "org_b")).status_code == 404


async def test_a_session_that_was_revoked_makes_no_key_and_ends_its_own(
    shop: httpx.AsyncClient, platform: Platform
) -> None:
    told = (await key(shop, "org_a")).json()
    form = {"token": token_of(shop)}
    async with platform.database.connection() as connection:
        await connection.execute("DELETE FROM console_session")
    refused = await shop.post("/console/playground/key?organization=org_a", data=form)
    assert "Sign in" in refused.text
    assert "ak-" not in refused.text
    async with platform.reading() as connection:
        ended = await tenancy.key_by_secret(connection, secret_sha256(told["secret"]))
    assert ended is not None
    assert ended.expires_at is not None
    assert ended.expires_at <= datetime.now(UTC)


async def test_a_charge_is_told_to_its_own_organization(
    shop: httpx.AsyncClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = request("org_a", Usage(10, 0, 0, 20), now_us())
    asked = {"id": request_id(record.event_id), "organization": "org_a"}
    before = await shop.get("/console/playground/charge", params=asked)
    assert before.json() == {"settled": False}
    write(platform.settings.paths.journal, platform.words, [record])
    told = (await shop.get("/console/playground/charge", params=asked)).json()
    assert (told["settled"], told["amount"], told["currency"]) == (True, "0.0000425", "USD")
    become(monkeypatch, ("org_b", "member"))
    other = await shop.get("/console/playground/charge", params={"id": asked["id"]})
    assert other.json() == {"settled": False}
    assert (await shop.get("/console/playground/charge", params=asked)).status_code == 404


async def test_code_says_the_request_in_each_language(shop: httpx.AsyncClient) -> None:
    body = {
        "model": "some-model",
        "messages": [{"role": "user", "content": 'it\'s </code><script>alert(1)</script> "q"'}],
        "stop": ["a"],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"additionalProperties": False}}}],
    }
    form = {"token": token_of(shop), "body": json.dumps(body)}
    answer = await shop.post("/console/playground/code?organization=org_a", data=form)
    assert "<script>" not in answer.text
    codes = [html.unescape(code) for code in re.findall(r"<pre[^>]*><code>(.*?)</code>", answer.text, re.DOTALL)]
    python = next(code for code in codes if "from openai import" in code)
    call = next(
        node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Call) and node.keywords[0].arg == "model"
    )
    assert {each.arg: ast.literal_eval(each.value) for each in call.keywords} == body
    for bad in ("", "[]", '{"model": 1, "messages": []}', "x" * 10, '{"model": "m", "messages": [{"content": NaN}]}'):
        form = {"token": token_of(shop), "body": bad}
        assert (await shop.post("/console/playground/code?organization=org_a", data=form)).status_code == 400, bad

"""Deployments, providers and logs in the console: what is shown, what is changed, and what never comes out."""

from collections.abc import Mapping

import httpx
import pytest

from arkwright.console import option_lines
from arkwright.console.pages.providers import served_share
from arkwright.control.platform import Platform
from arkwright.domain.catalog import ModelKind
from arkwright.domain.deployments import ReplicaState
from arkwright.store import catalog
from tests.integration.console.browsers import form_token, opened, sign_in

pytestmark = pytest.mark.anyio
KIND: ModelKind = "chat"


async def post(browser: httpx.AsyncClient, path: str, fields: Mapping[str, str], status: int = 303) -> httpx.Response:
    answer = await browser.post(f"/console{path}", data={"token": await form_token(browser), **fields})
    assert answer.status_code == status, answer.text
    return answer


async def replica(platform: Platform, deployment: str, state: ReplicaState = "ready", error: str = "") -> str:
    async with platform.database.connection() as connection:
        found = await catalog.deployment(connection, deployment)
        assert found is not None
        await connection.execute(
            "INSERT INTO replica (id, deployment_id, host, url, state, last_error, capacity)"
            " VALUES (%s, %s, 'host_a', 'http://127.0.0.1:1/v1', %s, %s, 3)",
            (f"rep_{deployment}", found.id, state, error),
        )
    return f"rep_{deployment}"


async def test_a_deployment_is_made_drained_stopped_changed_and_deleted(
    browser: httpx.AsyncClient, platform: Platform
) -> None:
    await sign_in(browser)
    empty = (await browser.get("/console/deployments")).text
    assert "arkwright up --model" in empty
    assert "GPU" in empty
    made = await post(
        browser, "/deployments", {"name": "small", "source": "smollm2-135m-instruct", "options": "threads = 2"}
    )
    page = (await browser.get(made.headers["location"])).text
    assert "small was created" in page
    assert "no replica has been started yet" in page
    assert "threads = 2" in page
    one = await replica(platform, "small", "failed", "the weights <are> gone")
    page = (await browser.get("/console/deployments/small")).text
    assert "failed: the weights &lt;are&gt; gone" in page
    await post(browser, "/deployments/small/desired", {"desired": "draining"})
    await post(browser, "/deployments/small/desired", {"desired": "stopped", "replica": one})
    async with platform.reading() as connection:
        found = await catalog.deployment(connection, "small")
        assert found is not None
        assert found.desired == "draining"
        assert [each.desired for each in await catalog.replicas(connection, found.id)] == ["stopped"]
        noted = await (
            await connection.execute("SELECT actor, action FROM audit_log WHERE action = 'replica.update'")
        ).fetchone()
    assert noted == ("person admin", "replica.update")
    await post(browser, "/deployments/small", {"source": "all-minilm-l6-v2", "options": ""})
    refused = await post(browser, "/deployments/small", {"source": "x", "options": "treads = 2"}, status=400)
    assert "treads" in refused.text
    assert 'role="alert"' in refused.text
    await post(browser, "/deployments/small/desired", {"desired": "asleep"}, status=400)
    await post(browser, "/deployments/small/delete", {})
    assert (await browser.get("/console/deployments/small")).status_code == 404


async def test_the_list_is_the_same_as_a_table_and_as_files(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    for name in ("one", "two"):
        await post(browser, "/deployments", {"name": name, "source": "smollm2-135m-instruct"})
    rows = (await browser.get("/console/deployments?as=json")).json()["data"]
    assert [row["name"] for row in rows] == ["one", "two"]
    lines = (await browser.get("/console/deployments?as=csv")).text.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("one,")
    page = (await browser.get("/console/deployments")).text
    assert all(row["name"] in page and row["gap"] in page for row in rows)


async def test_a_providers_key_goes_in_and_never_comes_out(browser: httpx.AsyncClient, platform: Platform) -> None:
    await sign_in(browser)
    key, another = "sk-first-secret-of-up", "sk-second-secret-of-up"
    fields = {"name": "up", "base_url": "https://up.test/v1", "api_key": key, "options": "max_concurrent = 5"}
    await post(browser, "/providers", fields)
    async with platform.reading() as connection:
        first = await catalog.provider(connection, "up")
    assert first is not None
    await post(browser, "/providers/up", {"base_url": "https://up.test/v1", "api_key": "", "options": ""})
    await post(browser, "/providers/up", {"base_url": "https://up.test/v1", "api_key": another, "options": ""})
    bad = await post(browser, "/providers/up", {"base_url": "ftp://x", "api_key": key, "options": ""}, status=400)
    again = await post(browser, "/providers", fields, status=409)
    for page in (bad.text, again.text, (await browser.get("/console/providers/up")).text,
                 (await browser.get("/console/providers?as=json")).text):  # fmt: skip
        assert key not in page
        assert another not in page
    async with platform.reading() as connection:
        second = await catalog.provider(connection, "up")
    assert second is not None
    assert second.sealed_key not in (b"", first.sealed_key)
    await post(browser, "/providers/up/desired", {"desired": "stopped"})
    assert "stopped" in (await browser.get("/console/providers/up")).text
    await post(browser, "/providers/up/desired", {"desired": "draining"}, status=400)
    await post(browser, "/providers/up", {"base_url": "https://up.test/v1", "no_key": "yes", "options": ""})
    assert "no key is set" in (await browser.get("/console/providers/up")).text
    await post(browser, "/providers/up/delete", {})
    assert (await browser.get("/console/providers/up")).status_code == 404


async def test_a_log_is_followed_by_bytes_without_its_secrets(browser: httpx.AsyncClient, platform: Platform) -> None:
    platform.settings.paths.make()
    log = platform.settings.paths.logs / "gateway-0.log"
    log.write_text("<b>began</b>\nkey sk-0123456789abcdefgh\n")
    await sign_in(browser)
    page = (await browser.get("/console/logs/gateway-0")).text
    assert "&lt;b&gt;began&lt;/b&gt;" in page
    assert "0123456789abcdefgh" not in page
    told = (await browser.get("/console/logs/gateway-0?as=json")).json()
    with log.open("a") as file:
        file.write("more\n")
    assert (await browser.get(f"/console/logs/gateway-0?as=json&from={told['next']}")).json()["lines"] == ["more"]
    assert (await browser.get("/console/logs/gateway-0?from=-1")).status_code == 400
    for name in ("absent", "..%2Fsecrets%2Fmaster", "master.key"):
        assert (await browser.get(f"/console/logs/{name}")).status_code == 404


async def test_who_is_no_operator_sees_and_changes_nothing(platform: Platform) -> None:
    async with opened(platform) as browser:
        for path in ("/deployments", "/providers", "/logs/control", "/leagues", "/reports", "/overview/now"):
            answer = await browser.get(f"/console{path}")
            assert "Sign in" in answer.text
            assert (await browser.get(f"/console{path}?as=json")).status_code == 401
        for path in ("/deployments", "/providers", "/deployments/x/desired", "/providers/x/delete"):
            refused = await browser.post(f"/console{path}", data={"name": "x"})
            assert "Sign in" in refused.text
    async with platform.reading() as connection:
        assert await catalog.deployments(connection, limit=1) == []


def test_options_are_read_as_they_are_written() -> None:
    options = {"threads": 4, "on_disconnect": "stop", "refuses": ["echo"], "flag": True, "odd": "4", "text": " x "}
    assert option_lines.read(option_lines.write(options)) == options
    assert option_lines.read("a=1\n\n b = two words ") == {"a": 1, "b": "two words"}


def test_a_share_is_of_attempts() -> None:
    assert served_share({}) is None
    assert served_share({"served": 3, "failed": 1}) == 7_500

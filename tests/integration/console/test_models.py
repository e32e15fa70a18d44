"""The shelf and a model's page: found by text, measured, priced, as files, and nothing of another organization's."""

import html

import httpx
import pytest

from arkwright.basics.clock import now_us
from arkwright.control import showcase
from arkwright.control.platform import Platform
from arkwright.domain.metering import Usage
from arkwright.wire import dialects
from tests.doubles.traffic import add_customers, request, write
from tests.integration.console.browsers import sign_in
from tests.integration.console.roles import become

pytestmark = pytest.mark.anyio

HOSTILE = '"><img src=x onerror=alert(1)>'


@pytest.fixture
async def shop(platform: Platform, browser: httpx.AsyncClient) -> httpx.AsyncClient:
    """Two organizations, two models of a provider, an endpoint of each organization; the operator is signed in."""
    await add_customers(platform.database, ("org_a", "external", ""), ("org_b", "external", ""))
    async with platform.database.connection() as connection:
        for statement in (
            "INSERT INTO provider (id, name, kind, base_url) VALUES ('prov_a', 'up', 'openai_compatible', 'http://u/v1')",
            "INSERT INTO model (id, name, kind, provider_id, upstream_name, context_tokens) VALUES"
            " ('model_a', 'some-model', 'chat', 'prov_a', 'm', 4096),"
            " ('model_b', 'vectors/v1', 'embedding', 'prov_a', 'v', 512)",
            "INSERT INTO endpoint (id, organization_id, name, model_id, state) VALUES"
            " ('ep-20261124000000-aaaaa', 'org_a', 'mine', 'model_a', 'running'),"
            " ('ep-20261124000000-bbbbb', 'org_b', 'theirs', 'model_a', 'running')",
        ):
            await connection.execute(statement)
    await sign_in(browser)
    return browser


async def served(platform: Platform) -> None:
    records = [request("org_a", Usage(10, 0, 0, 101), now_us() - 1_000_000, ttft_us=234_567)]
    write(platform.settings.paths.journal, platform.words, list(records))
    await platform.settler.catch_up()
    await showcase.follow(platform)


async def test_the_shelf_is_found_by_text_and_kind(shop: httpx.AsyncClient) -> None:
    page = (await shop.get("/console/models")).text
    assert "some-model" in page
    assert "vectors/v1" in page
    found = (await shop.get("/console/models", params={"q": "VECT"})).text
    assert "some-model" not in found
    assert "vectors/v1" in found
    assert "vectors/v1" not in (await shop.get("/console/models", params={"kind": "chat"})).text
    assert (await shop.get("/console/models", params={"kind": "none"})).status_code == 400
    assert "No model is called that." in (await shop.get("/console/models", params={"q": "zzz"})).text


async def test_what_was_measured_is_shown_and_filed(shop: httpx.AsyncClient, platform: Platform) -> None:
    rows = (await shop.get("/console/models", params={"as": "json"})).json()["data"]
    quiet = next(row for row in rows if row["model"] == "some-model")
    assert (quiet["hour_served"], quiet["hour_ttft_p50_us"], quiet["hour_availability"]) == (0, None, None)
    await served(platform)
    rows = (await shop.get("/console/models", params={"as": "json"})).json()["data"]
    row = next(row for row in rows if row["model"] == "some-model")
    assert (row["hour_served"], row["hour_availability"], row["hour_output_tokens_per_s"]) == (1, "100.00", "100.000")
    assert row["input_per_million"] == "0.25"
    page = (await shop.get("/console/models")).text
    for shown in ("100.00 %", "100.0", "0.25 in"):
        assert shown in page
    csv = (await shop.get("/console/models", params={"as": "csv"})).text.splitlines()
    assert csv[0].startswith("model,kind,state,context_tokens")
    assert csv[1].startswith("some-model,chat,provided,4096,USD,0.25,")


async def test_a_models_page_has_samples_prices_and_hours(shop: httpx.AsyncClient, platform: Platform) -> None:
    await served(platform)
    page = (await shop.get("/console/models", params={"model": "some-model"})).text
    text = html.unescape(page)
    assert "curl http://console.test:8080/v1/chat/completions" in text
    assert "from openai import OpenAI" in text
    for dialect in ("anthropic", "dashscope"):
        assert (f"Python ({dialect})" in text) == (dialect in dialects.ANSWERED)
    assert "1,000 < input" in text  # The price's rule for longer input, in short.
    assert "ep-20261124000000-aaaaa" in text
    assert '"moments"' in text
    hours = (await shop.get("/console/models", params={"model": "some-model", "as": "json"})).json()["data"]
    assert [row["served"] for row in hours] == [1]
    embedding = html.unescape((await shop.get("/console/models", params={"model": "vectors/v1"})).text)
    assert "/v1/embeddings" in embedding
    assert (await shop.get("/console/models", params={"model": "none"})).status_code == 404
    assert (await shop.get("/console/models", params={"model": "some-model", "period": "9y"})).status_code == 400


async def test_another_organizations_endpoint_is_not_there(
    shop: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, ("org_a", "member"))
    page = (await shop.get("/console/models", params={"model": "some-model"})).text
    assert "ep-20261124000000-aaaaa" in page
    assert "ep-20261124000000-bbbbb" not in page
    other = await shop.get("/console/models", params={"model": "some-model", "organization": "org_b"})
    assert other.status_code == 404


async def test_an_administrator_of_nothing_sees_nothing(
    shop: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch)
    for path in ("/models", "/playground", "/first-call"):
        assert (await shop.get(f"/console{path}")).status_code == 403, path


async def test_a_hostile_name_is_text(shop: httpx.AsyncClient, platform: Platform) -> None:
    async with platform.database.connection() as connection:
        await connection.execute("UPDATE endpoint SET name = %s", (HOSTILE,))
    page = (await shop.get("/console/models", params={"model": "some-model"})).text
    assert HOSTILE not in page
    assert "&#34;&gt;&lt;img" in page
    assert HOSTILE not in (await shop.get("/console/models", params={"q": HOSTILE})).text

"""The first call: a key shown once, samples of what is served, and the tick when the request has come."""

import html
import re

import httpx
import pytest

from arkwright.basics.clock import now_us
from arkwright.basics.ids import request_id, secret_sha256
from arkwright.control.platform import Platform
from arkwright.domain.metering import Usage
from arkwright.domain.tenancy import Role
from arkwright.store import tenancy
from tests.doubles.traffic import request, write
from tests.integration.console.roles import become
from tests.integration.console.test_models import shop
from tests.integration.console.test_playground import token_of

pytestmark = pytest.mark.anyio
__all__ = ["shop"]


async def test_a_key_is_shown_once(
    shop: httpx.AsyncClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, ("org_a", "member"))
    assert (await shop.get("/console")).headers["location"] == "/console/first-call"
    page = await shop.post("/console/first-call", data={"token": token_of(shop)})
    found = re.search(r"export ARKWRIGHT_KEY=(ak-[0-9a-f]{64})", page.text)
    assert found, page.text
    assert page.headers["cache-control"] == "no-store"
    async with platform.reading() as connection:
        key = await tenancy.key_by_secret(connection, secret_sha256(found.group(1)))
    assert key is not None
    assert (key.organization_id, key.name) == ("org_a", "first call")
    assert found.group(1) not in (await shop.get("/console/first-call")).text


@pytest.mark.parametrize("role", ["billing", "auditor"])
async def test_who_may_not_play_makes_no_key(
    shop: httpx.AsyncClient, platform: Platform, monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    become(monkeypatch, ("org_a", role))
    assert (await shop.post("/console/first-call", data={"token": token_of(shop)})).status_code == 403
    async with platform.reading() as connection:
        count = await (await connection.execute("SELECT count(*) FROM api_key")).fetchone()
    assert count == (0,)


async def test_a_form_of_elsewhere_makes_no_key(shop: httpx.AsyncClient) -> None:
    assert (await shop.post("/console/first-call?organization=org_a", data={"token": "0" * 64})).status_code == 403


async def test_it_ticks_when_a_request_of_ones_own_arrives(
    shop: httpx.AsyncClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(monkeypatch, ("org_a", "member"))
    page = (await shop.get("/console/first-call")).text
    tick = re.search(r'hx-get="([^"]+)"', page)
    assert tick
    address = html.unescape(tick.group(1))
    records = [request("org_b", Usage(10, 0, 0, 20), now_us())]
    write(platform.settings.paths.journal, platform.words, list(records))
    waiting = (await shop.get(address)).text
    assert "Waiting" in waiting
    assert "hx-get" in waiting
    mine = request("org_a", Usage(10, 0, 0, 20), now_us())
    write(platform.settings.paths.journal, platform.words, [mine])
    arrived = (await shop.get(address)).text
    assert "It arrived." in arrived
    assert "0.0000425" in arrived
    assert request_id(mine.event_id) in arrived
    assert "hx-get" not in arrived
    again = (await shop.get("/console/first-call")).text
    assert "It arrived." not in again  # What came before the page was opened is told as such.
    assert "0.0000425" in again

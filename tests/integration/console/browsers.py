"""Browsers without a window, for tests: they keep cookies, and sign in as a person would."""

import re

import httpx

from arkwright.console.routes import routes
from arkwright.control.api import application
from arkwright.control.platform import Platform

HOST = "host_a"
PASSWORD = "correct-horse-battery"


def opened(platform: Platform, base_url: str = "http://console.test:8080") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=application(platform, routes(platform)))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url=base_url)


async def form_token(browser: httpx.AsyncClient) -> str:
    """The token in the forms of the page that /console shows now."""
    page = await browser.get("/console")
    found = re.search(r'name="token" value="([0-9a-f]{64})"', page.text)
    assert found, page.text
    return found.group(1)


async def sign_in(
    browser: httpx.AsyncClient, login: str = "admin", password: str = PASSWORD, **headers: str
) -> httpx.Response:
    token = await form_token(browser)
    fields = {"token": token, "login": login, "password": password}
    return await browser.post("/console/sign-in", data=fields, headers=headers)

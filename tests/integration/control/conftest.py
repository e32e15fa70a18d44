"""A control plane without its process: the admin API on a clean database, reached in this process."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from arkwright.basics.ids import new_admin_key, new_id, secret_sha256
from arkwright.basics.settings import Settings
from arkwright.control.api import application
from arkwright.control.lease_keeper import LeaseKeeper
from arkwright.control.platform import Platform
from arkwright.control.publisher import Publisher
from arkwright.control.settler import Settler
from arkwright.host.leases import LeaseWords
from arkwright.store import tenancy
from arkwright.store.database import Database

HOST = "host-under-test"


class Admin:
    """What a client of the admin API does, with the assertions that every test makes."""

    def __init__(self, client: httpx.AsyncClient, platform: Platform) -> None:
        self.client = client
        self.platform = platform

    async def call(self, method: str, path: str, body: Any = None, *, expect: int = 0, **parameters: Any) -> Any:
        """The answer's JSON. `expect`: the status; 0: any success."""
        answer = await self.client.request(method, f"/admin/v1{path}", json=body, params=parameters or None)
        assert answer.headers["x-request-id"], "every answer has a request id"
        if expect:
            assert answer.status_code == expect, answer.text
        else:
            assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def get(self, path: str, *, expect: int = 0, **parameters: Any) -> Any:
        return await self.call("GET", path, expect=expect, **parameters)

    async def post(self, path: str, body: Any = None, *, expect: int = 0) -> Any:
        return await self.call("POST", path, body, expect=expect)

    async def refused(self, method: str, path: str, body: Any, status: int) -> dict[str, Any]:
        """The `error` object, after a look at its shape."""
        answer = await self.call(method, path, body, expect=status)
        assert set(answer) == {"error"}
        assert set(answer["error"]) == {"message", "type", "param", "code"}
        error: dict[str, Any] = answer["error"]
        return error

    async def apply(self, text: str, *, dry_run: bool = False, expect: int = 200) -> Any:
        answer = await self.client.post("/admin/v1/apply", content=text, params={"dry_run": dry_run})
        assert answer.status_code == expect, answer.text
        return answer.json()

    async def export(self) -> str:
        answer = await self.client.get("/admin/v1/export")
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture
async def platform(database: Database, tmp_path: Path) -> AsyncIterator[Platform]:
    journal_dir = tmp_path / "journal"
    journal_dir.mkdir()
    words = LeaseWords.create(tmp_path / "leases.words", 1, rows=256, slots=4)
    settler = Settler(database, journal_dir, host=HOST)
    lot_words = LeaseWords.create(tmp_path / "lots.words", 1, rows=256, slots=4)
    keeper = LeaseKeeper(database, words, settler, host=HOST, journal_dir=journal_dir, lot_words=lot_words)
    await keeper.start()
    settings = Settings(data_dir=str(tmp_path), model_store=str(tmp_path / "models"))
    publisher = Publisher(database, words, tmp_path / "snapshot.msgpack", host=HOST)
    yield Platform(settings, database, bytes(range(32)), words, publisher, settler, keeper)
    lot_words.close()
    words.close()


@pytest.fixture
async def admin(platform: Platform) -> AsyncIterator[Admin]:
    secret = new_admin_key()
    async with platform.database.connection() as connection:
        await tenancy.ensure_admin_key(connection, new_id("adm"), "test", secret_sha256(secret))
    transport = httpx.ASGITransport(app=application(platform))  # type: ignore[arg-type]  # ASGI by another name.
    headers = {"authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://control", headers=headers) as client:
        yield Admin(client, platform)

"""A platform with a database and a browser without a window: what every test of the console begins with."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from arkwright.basics import secrets
from arkwright.basics.settings import Settings
from arkwright.control import people
from arkwright.control.lease_keeper import LeaseKeeper
from arkwright.control.platform import Platform
from arkwright.control.publisher import Publisher
from arkwright.control.settler import Settler
from arkwright.host.leases import LeaseWords
from arkwright.store.database import Database
from tests.integration.console.browsers import HOST, PASSWORD, opened


@pytest.fixture(autouse=True)
def _quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id all the same, with little work: its cost is no part of what is tested."""
    from argon2 import PasswordHasher

    quick = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(secrets, "_hasher", lambda: quick)


@pytest.fixture
async def platform(database: Database, tmp_path: Path) -> AsyncIterator[Platform]:
    journal_dir = tmp_path / "journal"
    journal_dir.mkdir()
    words = LeaseWords.create(tmp_path / "leases.words", 1, rows=64, slots=4)
    settler = Settler(database, journal_dir, host=HOST)
    keeper = LeaseKeeper(database, words, settler, host=HOST, journal_dir=journal_dir)
    publisher = Publisher(database, words, tmp_path / "snapshot.msgpack", host=HOST)
    made = Platform(Settings(data_dir=str(tmp_path)), database, bytes(range(32)), words, publisher, settler, keeper)
    async with database.connection() as connection:
        session = made.session(connection, "test")
        await people.new_person(session, "admin", PASSWORD, platform_role="operator")
        await people.new_person(session, "customer", PASSWORD)
        await people.new_person(session, "former", PASSWORD, platform_role="operator")
        await connection.execute("UPDATE person SET disabled = true WHERE login = 'former'")
    yield made
    words.close()


@pytest.fixture
async def browser(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(platform) as client:
        yield client

"""A platform with charges of two payers, whose admin API commands can speak to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arkwright.basics.ids import new_admin_key, new_id, secret_sha256
from arkwright.basics.settings import Settings
from arkwright.basics.signing import ensure_signing_key
from arkwright.control.platform import Platform
from arkwright.control.publisher import Publisher
from arkwright.store import tenancy
from arkwright.store.database import Database
from tests.doubles.books import Books
from tests.doubles.money import add_organization, add_price
from tests.doubles.served_admin import ServedAdmin, served


@pytest.fixture
async def books(database: Database, tmp_path: Path) -> AsyncIterator[Books]:
    made = Books(database, tmp_path)
    async with database.connection() as connection:
        await add_price(connection)
        await add_organization(connection, "org_post", billing="postpaid")
        await add_organization(connection, "org_other", billing="postpaid")
    await made.keeper.start()
    yield made
    made.words.close()


@pytest.fixture
async def platform(books: Books, tmp_path: Path) -> Platform:
    settings = Settings(data_dir=str(tmp_path), model_store=str(tmp_path / "models"))
    settings.paths.make()
    ensure_signing_key(settings.paths.signing_key)
    publisher = Publisher(books.database, books.words, tmp_path / "snapshot.msgpack", host="host_a")
    return Platform(settings, books.database, bytes(range(32)), books.words, publisher, books.settler, books.keeper)


@pytest.fixture
async def admin(platform: Platform) -> AsyncIterator[ServedAdmin]:
    secret = new_admin_key()
    async with platform.database.connection() as connection:
        await tenancy.ensure_admin_key(connection, new_id("adm"), "test", secret_sha256(secret))
    async with served(platform, secret) as serving:
        yield serving

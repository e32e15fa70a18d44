"""Books with a prepaid payer (row 0) and a postpaid one (row 1)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arkwright.store.database import Database
from tests.doubles.books import DEPOSIT, Books
from tests.doubles.money import add_organization, add_price


@pytest.fixture
async def books(database: Database, tmp_path: Path) -> AsyncIterator[Books]:
    made = Books(database, tmp_path)
    async with database.connection() as connection:
        await add_price(connection)
        assert await add_organization(connection, "org_a") == 0
        assert await add_organization(connection, "org_post", billing="postpaid") == 1
    await made.keeper.start()
    await made.top_up("org_a", DEPOSIT, "first")
    yield made
    made.words.close()

"""The books are checked against what was signed: whoever edits one and not the other is found."""

import pytest

from arkwright.control import audit, proofs
from arkwright.control.platform import Platform
from tests.doubles.books import Books
from tests.doubles.postings import Posting, place_on

pytestmark = pytest.mark.anyio

# Each edit, and the subjects that are named for it.
FEED = {
    "DELETE FROM ledger_place WHERE position = 2": {"place 3"},
    "UPDATE ledger_place SET position = 9 WHERE position = 3": {"place 9"},
    "INSERT INTO ledger_unplaced SELECT transaction_id FROM ledger_place WHERE position = 1": set(),
}
PROOF = {
    "UPDATE proof_root SET day = '2026-10-09' WHERE number = 1": {"root 1"},
    "UPDATE proof_root SET content = content || ' ' WHERE number = 2": {"root 2"},
    "DELETE FROM proof_root WHERE number = 2": {"root 3"},
    "DELETE FROM proof_part WHERE root = 1 AND organization_id = 'org_post'": {"root 1 of org_post"},
    "UPDATE charge SET amount_pico = amount_pico + 1": {
        "root 1 of org_post",
        "root 1 of org_other",
        "root 3 of org_post",
    },
    "DELETE FROM charge WHERE organization_id = 'org_other'": {"root 1 of org_other"},
    "UPDATE proof_root SET upto_position = 1 WHERE number = 1": {"root 1 of org_other", "root 2 of org_other"},
}


@pytest.fixture
async def sealed(books: Books, platform: Platform) -> Books:
    async with books.database.connection() as connection:
        await connection.execute("UPDATE organization SET created_at = '2025-06-01Z'")
        await Posting().post(connection, 3)
        await Posting("org_other").post(connection, 2)
        await place_on(connection, "2026-11-01")
        await Posting().post(connection, 1)
        await place_on(connection, "2026-11-03")
    await proofs.seal_due(platform)
    return books


async def found(books: Books, name: str) -> set[str]:
    report = await audit.check(books.database, books.settler)
    return {finding.subject for finding in report.findings if finding.name == name}


async def test_what_was_sealed_and_not_touched_agrees(sealed: Books) -> None:
    assert await found(sealed, "feed-differs") == set()
    assert await found(sealed, "proof-differs") == set()


@pytest.mark.parametrize("edit", [*FEED, *PROOF])
async def test_an_edit_is_named(sealed: Books, edit: str) -> None:
    await sealed.execute(f"SET LOCAL session_replication_role = 'replica'; {edit}")
    name, named = ("feed-differs", FEED[edit]) if edit in FEED else ("proof-differs", PROOF[edit])
    subjects = await found(sealed, name)
    assert subjects >= named
    assert subjects

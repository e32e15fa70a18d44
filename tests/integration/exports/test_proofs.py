"""Roots are sealed once for each day, whoever asks; an export proves itself to somebody who has the key alone."""

import asyncio
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest

from arkwright.basics.errors import ArkwrightError, InternalError, InvalidInput
from arkwright.basics.money import decimal_from_pico
from arkwright.basics.signing import Signer
from arkwright.cli import audit as command
from arkwright.cli import proofs as commands
from arkwright.control import proofs
from arkwright.control.chores import CHORES
from arkwright.control.platform import Platform
from arkwright.domain.metering import Usage
from arkwright.domain.proofs import decode_root, hash_of, signed_bytes
from arkwright.store import proofs as store
from arkwright.store.proofs import StoredRoot
from tests.doubles.books import Books
from tests.doubles.money import Worker, add_organization, settled
from tests.doubles.postings import Posting, place_on
from tests.doubles.served_admin import ServedAdmin

pytestmark = pytest.mark.anyio


async def roots(books: Books) -> list[StoredRoot]:
    async with books.database.connection() as connection:
        return await store.roots(connection)


async def charged_on(books: Books, day: str, **counts: int) -> None:
    async with books.database.connection() as connection:
        await connection.execute("UPDATE organization SET created_at = '2025-06-01Z' WHERE created_at > '2025-06-01Z'")
        for organization_id, count in counts.items():
            await Posting(organization_id).post(connection, count)
        await place_on(connection, day)


async def export(
    admin: ServedAdmin, platform: Platform, out: Path, capsys: pytest.CaptureFixture[str], **options: Any
) -> tuple[int, dict[str, Any]]:
    """Exported, and checked: the exit code and the report."""
    await admin.run(commands.export, organization="org_post", output=out, **options)
    return checked(out, Signer(platform.settings.paths.signing_key).public, capsys)


def checked(file: Path, key: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = command.verify(file, key=key, json_output=True)
    return code, json.loads(capsys.readouterr().out)


async def test_each_day_that_is_over_gets_one_root_in_a_chain(books: Books, platform: Platform) -> None:
    await charged_on(books, "2026-01-01", org_post=3, org_other=1)
    await charged_on(books, "2026-01-04", org_post=2)
    await proofs.seal_due(platform)
    found = await roots(books)
    assert [root.day.isoformat() for root in found[:4]] == [f"2026-01-0{number}" for number in range(1, 5)]
    assert all(root.over for root in found)
    assert [root.upto_position for root in found[:4]] == [2, 2, 2, 3]
    verifier = Signer(platform.settings.paths.signing_key)
    previous = ""
    for number, root in enumerate(found, 1):
        signed = decode_root(root.content)
        assert (signed.number, signed.day, signed.previous) == (number, root.day.isoformat(), previous)
        assert root.signature == verifier.sign(signed_bytes(signed)), "Ed25519 signs the same the same way"
        previous = hash_of(signed)
        assert root.hash.hex() == previous
    await proofs.seal_due(platform)
    assert await roots(books) == found, "sealing twice changes nothing"


async def test_today_is_sealed_on_demand_and_again_once_there_is_more(books: Books, platform: Platform) -> None:
    async with books.database.connection() as connection:
        await Posting().post(connection, 2)
    await proofs.seal_now(platform)
    first = await roots(books)
    assert [root.over for root in first] == [False]
    await proofs.seal_now(platform)
    assert await roots(books) == first
    async with books.database.connection() as connection:
        await Posting().post(connection, 1)
    await proofs.seal_now(platform)
    assert [(root.after_position, root.upto_position) for root in await roots(books)] == [(0, 1), (1, 2)]


async def test_two_that_seal_at_once_make_one_chain(books: Books, platform: Platform) -> None:
    await charged_on(books, "2026-09-01", org_post=3)
    await asyncio.gather(*(proofs.seal_now(platform) for _ in range(4)))
    found = await roots(books)
    assert [root.number for root in found] == list(range(1, len(found) + 1))
    assert len({root.day for root in found}) == len(found) > 50
    for before, after in pairwise(found):
        assert decode_root(after.content).previous == before.hash.hex()


async def test_an_event_that_comes_late_is_of_the_day_it_was_posted(books: Books, platform: Platform) -> None:
    """Its request ended days ago; the root of that day stands, and today's has it."""
    await charged_on(books, "2026-01-01", org_post=1)
    await proofs.seal_due(platform)
    before = await roots(books)
    worker = Worker(books.journal_dir, books.words)
    late = settled("org_post", Usage(5), prepaid=False, started_us=1_767_225_600_000_000)
    worker.write(late)
    worker.stop()
    await proofs.seal_now(platform)
    found = await roots(books)
    assert found[: len(before)] == before
    assert (found[-1].after_position, found[-1].upto_position, found[-1].over) == (1, 2, False)
    heads = await books.value("SELECT journals FROM proof_root ORDER BY number DESC LIMIT 1")
    assert [head[0] for head in heads] == [worker.incarnation]


async def test_roots_are_for_ever(books: Books, platform: Platform) -> None:
    await charged_on(books, "2026-11-01", org_post=1)
    await proofs.seal_due(platform)
    for table in ("proof_root", "proof_part"):
        for change in (f"DELETE FROM {table}", f"UPDATE {table} SET content = ''"):
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                await books.execute(change)


async def test_an_export_proves_itself(
    books: Books, platform: Platform, admin: ServedAdmin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await charged_on(books, "2026-11-01", org_post=3, org_other=4)
    await charged_on(books, "2026-11-02", org_other=2)
    await charged_on(books, "2026-11-03", org_post=2)
    async with books.database.connection() as connection:
        await Posting().post(connection, 4)
    out = tmp_path / "proof.jsonl"
    code, report = await export(admin, platform, out, capsys)
    assert (code, report["faults"]) == (0, [])
    assert report["rows"] == 9
    assert report["roots"] == len(await roots(books))
    pico = await books.value("SELECT sum(amount_pico) FROM charge WHERE organization_id = 'org_post'")
    assert report["amount"] == {"USD": decimal_from_pico(pico)}
    text = out.read_text()
    assert "org_other" not in text
    for (event_id,) in [
        tuple(row)
        for row in await _all(
            books, "SELECT replace(event_id::text, '-', '') FROM charge WHERE organization_id = 'org_other'"
        )
    ]:
        assert event_id not in text
    code, report = await export(admin, platform, out, capsys, since="2026-11-02", until="2026-11-04")
    assert (code, report["rows"], report["roots"]) == (0, 2, 2)


async def test_a_row_that_was_edited_in_a_file_is_named(
    books: Books, platform: Platform, admin: ServedAdmin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await charged_on(books, "2026-11-01", org_post=3)
    out = tmp_path / "proof.jsonl"
    await export(admin, platform, out, capsys)
    lines = out.read_text().splitlines(keepends=True)
    row = json.loads(lines[3])["row"]
    edited = lines[3].replace('"amount_pico":"', '"amount_pico":"1', 1)
    out.write_text("".join([*lines[:3], edited, *lines[4:]]))
    key = Signer(platform.settings.paths.signing_key).public
    code, report = checked(out, key, capsys)
    assert code == 1
    assert (4, f"event {row['event_id']}") in {(fault["line"], fault["subject"]) for fault in report["faults"]}
    out.write_text("".join(lines[:3] + lines[4:]))
    code, report = checked(out, key, capsys)
    assert code == 1
    assert any("row 1 of its 3 is not here" in fault["what"] for fault in report["faults"])
    out.write_text("".join(lines))
    assert checked(out, "ed25519:" + "A" * 43 + "=", capsys)[0] == 1


async def test_what_was_edited_in_the_database_is_not_proved(
    books: Books, platform: Platform, admin: ServedAdmin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await charged_on(books, "2026-11-01", org_post=3)
    await proofs.seal_due(platform)
    await books.execute(
        "ALTER TABLE charge DISABLE TRIGGER charge_append_only;"
        " UPDATE charge SET model = 'cheaper' WHERE event_id = (SELECT min(event_id::text)::uuid FROM charge)"
    )
    lines = await proofs.export(platform, "org_post", None, None)
    with pytest.raises(InternalError, match="no longer those that root 1 of 2026-11-01 signed"):
        [line async for line in lines]
    with pytest.raises(ArkwrightError, match="broke off"):
        await admin.run(commands.export, organization="org_post", output=tmp_path / "proof.jsonl")
    assert list(tmp_path.glob("*proof.jsonl*")) == [], "no file, and no part of one"
    assert "no longer those that root 1" in capsys.readouterr().out, "the log says why"


async def test_a_payer_without_charges_can_prove_that(
    books: Books, platform: Platform, admin: ServedAdmin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await charged_on(books, "2026-11-01", org_other=1)
    code, report = await export(admin, platform, tmp_path / "proof.jsonl", capsys)
    assert (code, report["rows"]) == (0, 0)
    assert report["roots"] >= 1
    async with books.database.connection() as connection:
        await add_organization(connection, "org_new", billing="postpaid")
    with pytest.raises(InvalidInput, match="nothing of this organization is sealed"):
        await proofs.export(platform, "org_new", None, None)


async def test_bad_periods_and_files_are_refused(
    books: Books, admin: ServedAdmin, tmp_path: Path, platform: Platform
) -> None:
    await charged_on(books, "2026-11-01", org_post=1)
    for options, said in (
        ({"since": "2026-11-03", "until": "2026-11-03"}, "until is not after since"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2020-01-01"}, "no roots"),
    ):
        with pytest.raises(ArkwrightError, match=said):
            await admin.run(commands.export, organization="org_post", output=tmp_path / "x", **options)
    with pytest.raises(ArkwrightError, match="nobody"):
        await admin.run(commands.export, organization="nobody", output=tmp_path / "x")
    key = Signer(platform.settings.paths.signing_key).public
    for file, given in ((tmp_path / "none", key), (tmp_path, key), (tmp_path / "words", "adm-key")):
        with pytest.raises(InvalidInput) as refusal:
            command.verify(file, key=given)
        assert refusal.value.code == "wrong_usage"
    (tmp_path / "endless").write_bytes(b"x" * (commands.LINE_BYTES_MAX + 10))
    with pytest.raises(InvalidInput, match="longer than"):
        command.verify(tmp_path / "endless", key=key)


def test_checking_a_file_imports_no_database_and_no_network(tmp_path: Path) -> None:
    script = (
        "import sys; from arkwright.cli.main import main\n"
        "try: main(['audit', 'verify', sys.argv[1], '--key', 'ed25519:' + 'A' * 43 + '='])\n"
        "finally: print(sorted(set(sys.modules) & {'psycopg', 'psycopg_pool', 'aiosql', 'litestar', 'uvicorn'}))"
    )
    file = tmp_path / "empty"
    file.write_bytes(b"")
    done = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert done.returncode == 1, done.stderr


def test_the_chore_is_listed() -> None:
    assert proofs.seal_due in {chore.do for chore in CHORES}


async def _all(books: Books, query: str) -> list[Any]:
    async with books.database.connection() as connection:
        return await (await connection.execute(query)).fetchall()

"""Raw events as Parquet: as many rows and pico as the ledger has, day by day, whole or not there."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arkwright.basics.errors import ArkwrightError, InternalError, InvalidInput, Unavailable
from arkwright.cli import exports as command
from arkwright.control import exports
from arkwright.store import feeds, parquet
from arkwright.store.parquet import DayFile, Sums
from tests.doubles.books import Books
from tests.doubles.postings import Posting, place_on
from tests.doubles.served_admin import ServedAdmin

pytestmark = pytest.mark.anyio
pa = pytest.importorskip("pyarrow")
duckdb = pytest.importorskip("duckdb")


async def export(admin: ServedAdmin, out: Path, capsys: pytest.CaptureFixture[str], **options: Any) -> Any:
    capsys.readouterr()
    await admin.run(command.parquet, out=out, json_output=True, **options)
    return json.loads(capsys.readouterr().out)


async def three_days(books: Books) -> None:
    async with books.database.connection() as connection:
        for day, count in (("2026-01-01", 3), ("2026-01-02", 5), ("2026-02-01", 2)):
            await Posting().post(connection, count)
            await Posting("org_other").post(connection, 1)
            await place_on(connection, day)


async def test_rows_and_pico_are_those_of_the_ledger(
    books: Books, admin: ServedAdmin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await three_days(books)
    written = await export(admin, tmp_path / "out", capsys)
    assert [(row["day"], row["rows"], row["over"], row["done"]) for row in written] == [
        ("2026-01-01", 4, True, "written"), ("2026-01-02", 6, True, "written"), ("2026-02-01", 3, True, "written"),
    ]  # fmt: skip
    files = f"read_parquet('{tmp_path}/out/*/*.parquet')"

    def asked(what: str) -> Any:
        return duckdb.sql(f"SELECT {what} FROM {files}").fetchall()[0]

    rows, ids, pico, tokens = asked("count(*), count(DISTINCT event_id), sum(amount_pico), sum(input_tokens)")
    assert rows == ids == await books.value("SELECT count(*) FROM charge") == 13
    assert int(pico) == await books.value("SELECT sum(amount_pico) FROM charge")
    assert int(pico) == await books.value("SELECT sum(balance_pico) FROM ledger_account WHERE kind = 'revenue_maas'")
    assert tokens == await books.value("SELECT sum(input_tokens) FROM charge")
    assert int(asked("sum(list_sum(list_transform(lines, lambda line: line.amount_pico)))")[0]) == int(pico)
    assert asked("min(epoch_us(placed_at)), max(epoch_us(placed_at))") == (
        1_767_268_800_000_000,
        1_769_947_200_000_000,
    )


async def test_whole_days_are_left_and_todays_is_written_anew(
    books: Books, admin: ServedAdmin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await three_days(books)
    async with books.database.connection() as connection:
        await Posting().post(connection, 2)
    first = await export(admin, tmp_path / "out", capsys)
    assert [row["over"] for row in first] == [True, True, True, False]
    again = await export(admin, tmp_path / "out", capsys)
    assert {row["done"] for row in again} == {"was there"}
    Path(first[1]["file"]).unlink()
    async with books.database.connection() as connection:
        await Posting().post(connection, 4)
    third = await export(admin, tmp_path / "out", capsys)
    assert [(row["rows"], row["done"]) for row in third] == [
        (4, "was there"), (6, "written"), (3, "was there"), (6, "written"),
    ]  # fmt: skip
    some = await export(admin, tmp_path / "some", capsys, since="2026-01-02", until="2026-02-01")
    assert [row["day"] for row in some] == ["2026-01-02"]


async def test_a_day_that_is_over_takes_no_more(books: Books) -> None:
    """Closing and placing wait for each other; a clock that went back gives places after what was closed."""
    await books.execute("INSERT INTO ledger_day (day, last_position) VALUES ('2998-12-31', 0)")
    async with books.database.connection() as connection:
        await Posting().post(connection)
    await feeds.give_places(books.database)
    assert await books.value("SELECT placed_at FROM ledger_place WHERE position = 1") >= await books.value(
        "SELECT timestamptz '2999-01-01Z'"
    )
    closed = await feeds.close_days(books.database)
    assert closed is not None
    assert closed.isoformat() == "2998-12-31"


def drafts(out: Path) -> Iterator[Path]:
    return (path for path in out.rglob("*") if path.is_file())


async def test_a_file_with_other_sums_than_the_feed_is_not_there(books: Books, tmp_path: Path) -> None:
    async with books.database.connection() as connection:
        await Posting().post(connection, 3)
    await feeds.give_places(books.database)
    async with books.database.connection() as connection:
        events, _ = await feeds.page(connection, feeds.START)
    amount = sum(event.amount_pico for event in events)
    for wrong in (Sums(4, {"USD": amount}, 1, True), Sums(3, {"USD": amount + 1}, 1, True), Sums(3, {}, 1, True)):
        with DayFile(tmp_path / "day=x" / parquet.FILE) as file:
            file.add(events)
            with pytest.raises(InternalError, match="rows"):
                file.finish(wrong)
    assert list(drafts(tmp_path / "day=x")) == []
    with DayFile(tmp_path / "day=x" / parquet.FILE) as file:
        file.add(events)
        file.finish(Sums(3, {"USD": amount}, 1, True))
    assert [path.name for path in drafts(tmp_path / "day=x")] == [parquet.FILE]


async def test_an_answer_that_was_cut_leaves_no_file(
    books: Books, admin: ServedAdmin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await three_days(books)

    async def cut(*arguments: Any) -> Any:
        async for page in exports.events(*arguments):
            yield b"".join(msgspec.json.encode(event) + b"\n" for event in page)

    monkeypatch.setattr(exports, "lines", cut)
    with pytest.raises(Unavailable, match="before their end"):
        await admin.run(command.parquet, out=tmp_path / "out")
    assert list(drafts(tmp_path / "out")) == []


async def test_a_foreign_file_is_not_overwritten(books: Books, admin: ServedAdmin, tmp_path: Path) -> None:
    await three_days(books)
    path = tmp_path / "out" / "day=2026-01-01" / parquet.FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(InvalidInput, match="move it away"):
        await admin.run(command.parquet, out=tmp_path / "out")
    assert path.read_bytes() == b"mine"


async def test_without_the_extra_it_says_what_to_install(
    admin: ServedAdmin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidInput, match=r"arkwright\[analytics\]"):
        await admin.run(command.parquet, out=tmp_path / "out")


async def test_bad_periods_and_unknown_payers_are_refused(admin: ServedAdmin) -> None:
    with admin.at.client() as client:
        for parameters, error in (
            ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-02T00:00:00Z"}, "until is not after since"),
            ({"since": "2026-01-02T00:00:00"}, "needs its time zone"),
            ({"organization": "nobody"}, "nobody"),
        ):
            with pytest.raises(ArkwrightError, match=error):
                await asyncio.to_thread(client.get, "/exports/events", **parameters)

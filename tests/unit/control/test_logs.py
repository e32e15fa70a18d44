"""Logs by bytes: the end, what came since, and never a secret."""

import os
from pathlib import Path

import pytest

from arkwright.basics.errors import NotFound
from arkwright.basics.settings import Settings
from arkwright.control import logs

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(data_dir=str(tmp_path))
    made.paths.make()
    return made


def write(settings: Settings, text: str, name: str = "control") -> None:
    with (settings.paths.logs / f"{name}.log").open("a") as file:
        file.write(text)


async def test_the_end_first_and_then_what_came_since(settings: Settings) -> None:
    write(settings, "".join(f"line {number}\n" for number in range(100)))
    page = await logs.page(settings, "control", most=100)
    assert page.lines[-1] == "line 99"
    assert len(page.lines) < 15
    assert all(line.startswith("line ") for line in page.lines), "no half line"
    write(settings, "one more\nhalf a li")
    more = await logs.page(settings, "control", page.next)
    assert (more.lines, more.skipped_bytes, more.began_anew) == (["one more"], 0, False)
    write(settings, "ne\n")
    assert (await logs.page(settings, "control", more.next)).lines == ["half a line"]


async def test_a_page_is_bounded_and_says_what_it_left_out(settings: Settings) -> None:
    write(settings, "x" * 99 + "\n")
    begun = await logs.page(settings, "control")
    write(settings, ("y" * 99 + "\n") * 5_000)
    page = await logs.page(settings, "control", begun.next, 10**9)
    assert sum(len(line) + 1 for line in page.lines) <= logs.PAGE_BYTES
    assert page.skipped_bytes > 400_000
    write(settings, "z" * 200_000)
    assert len((await logs.page(settings, "control")).lines[0]) == logs.LINE_CHARACTERS_MAX


async def test_a_log_that_was_set_aside_begins_anew(settings: Settings) -> None:
    write(settings, "old\n" * 100)
    page = await logs.page(settings, "control")
    path = settings.paths.logs / "control.log"
    path.rename(path.with_suffix(".log.1"))
    write(settings, "new\n")
    again = await logs.page(settings, "control", page.next)
    assert (again.lines, again.began_anew) == (["new"], True)


@pytest.mark.parametrize("name", ["../secrets/master", "a/b", "", ".", "..", "a\0b", "absent", "master.key"])
async def test_nothing_else_can_be_read(settings: Settings, name: str) -> None:
    (settings.paths.secrets / "master.log").write_text("secret")
    with pytest.raises(NotFound):
        await logs.page(settings, name)


async def test_a_link_is_no_log(settings: Settings) -> None:
    settings.paths.operator_key.write_text("adm-secret-secret-secret")
    os.symlink(settings.paths.operator_key, settings.paths.logs / "link.log")
    with pytest.raises((OSError, NotFound)):
        await logs.page(settings, "link")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("key sk-abcDEF0123456789xyz failed", "key [hidden] failed"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: [hidden]"),
        ('{"api_key": "0123456789abcdef", "n": 1}', '{"api_key": "[hidden]", "n": 1}'),
        ("http://joe:hunter22@example.test/v1", "http://joe:[hidden]@example.test/v1"),
        (f"engine key {'0a' * 32}", "engine key [hidden]"),
        ("nothing to hide: 42 tokens of input", "nothing to hide: 42 tokens of input"),
    ],
)
def test_secrets_are_hidden(line: str, shown: str) -> None:
    told = logs.blotted(line)
    assert "hidden" in shown or told == shown
    for part in ("abcDEF0123456789xyz", "abcdefghijklmnop", '0123456789abcdef"', "hunter22", "0a0a0a"):
        assert part not in told
    assert told == shown or "Bearer" in line


async def test_the_listing_names_what_there_is(settings: Settings) -> None:
    write(settings, "x\n")
    write(settings, "yy\n", "gateway-0")
    assert [(each.name, each.bytes) for each in await logs.listing(settings)] == [("control", 2), ("gateway-0", 3)]

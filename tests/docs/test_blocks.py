"""Every code block of README, start page and guides is typed, run or read, in the order of the page."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import msgspec
import pytest

from arkwright.control.declaration import TABLES
from tests.contract.platforms import Platform, running_platform
from tests.docs.blocks import Block, agrees, blocks
from tests.docs.command import quick_command
from tests.docs.pages import ROOT, with_code
from tests.docs.shell import Failed, Shell

pytestmark = pytest.mark.xdist_group("docs")
MODEL = "smollm2-135m-instruct"


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    by_hand = {"ARKWRIGHT_CLOSE_MONTHS_AFTER_H": "0"}  # A page closes the month before, once there is something in it.
    with running_platform("--workers", "1", "--model", MODEL, environment=by_hand) as platform:
        yield platform


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("commands")
    with quick_command(folder):
        yield folder


@pytest.mark.parametrize("page", with_code(), ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_tells_people_to_type_works(
    platform: Platform, commands: Path, tmp_path: Path, page: Path, record_property: Callable[[str, object], None]
) -> None:
    left_out = 0
    with Shell(platform, commands, tmp_path) as shell:
        for block in blocks(page):
            if block.left_out:
                left_out += 1
            else:
                _hold(shell, page, block, tmp_path)
    record_property("left out", left_out)


def _hold(shell: Shell, page: Path, block: Block, folder: Path) -> None:
    where = f"{page.name}:{block.line}"
    if block.language in ("bash", "console"):
        _type(shell, page, block)
    elif block.language == "python":
        _run(shell, where, block.text, folder)
    elif block.language == "toml":
        _declare(where, block.text, folder)
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "sql":
        assert duckdb.extract_statements(block.text), where


def _type(shell: Shell, page: Path, block: Block) -> None:
    for command in block.commands():
        where = f"{page.name}:{command.line}: {command.typed}"
        try:
            printed = shell.type(command.typed)
        except Failed as failed:
            pytest.fail(f"{where}\nfailed:\n{failed}", pytrace=False)
        if not agrees(command.stated, printed):
            pytest.fail(
                f"{where}\nthe page says:\n{chr(10).join(command.stated)}\nit printed:\n{printed}", pytrace=False
            )


def _run(shell: Shell, where: str, text: str, folder: Path) -> None:
    """A program by itself is run; a piece of one is read."""
    ast.parse(text)
    if not re.match(r"(from|import) ", text):
        return
    done = subprocess.run(
        [sys.executable, "-c", shell.meant(text)], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{where}: {done.stderr}"
    assert done.stdout.strip(), f"{where}: it printed nothing"


def _declare(where: str, text: str, folder: Path) -> None:
    """A platform file says what `apply` understands. Commands after it find it under this name."""
    (folder / "last.toml").write_text(text)
    for table, rows in tomllib.loads(text).items():
        if table in TABLES:
            try:
                for row in rows:
                    msgspec.convert(row, TABLES[table])
            except msgspec.ValidationError as error:
                pytest.fail(f"{where}: {table}: {error}")

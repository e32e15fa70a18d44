"""Files of others are what their packages have, and all scripts together stay small."""

import gzip
import hashlib
import tomllib
from pathlib import Path

import arkwright.console

STATIC = Path(arkwright.console.__file__).parent / "static"
SCRIPTS_BYTES_MAX = 60_000


def test_vendored_files_are_those_that_are_pinned() -> None:
    pinned = tomllib.loads((STATIC / "vendor" / "vendored.toml").read_text())["file"]
    for file in pinned:
        content = (STATIC / "vendor" / file["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"], file["name"]
        assert file["licence"] in ("MIT", "0BSD")
        assert file["version"].encode() in content or file["name"].endswith(".css")
    found = {path.name for path in (STATIC / "vendor").iterdir() if path.suffix in (".js", ".css")}
    assert found == {file["name"] for file in pinned}


def test_scripts_stay_small() -> None:
    scripts = [*STATIC.glob("*.js"), *STATIC.glob("vendor/*.js")]
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in scripts) < SCRIPTS_BYTES_MAX


def test_the_sheet_stays_readable() -> None:
    assert len((STATIC / "console.css").read_text().splitlines()) <= 800

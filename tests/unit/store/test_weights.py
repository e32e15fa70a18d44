"""The model store: complete or not there, whoever pulls, whatever dies."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from arkwright.basics.errors import NotFound
from arkwright.store.model_list import PinnedFile
from arkwright.store.weights import Fault, Manifest, ModelStore, slug

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def manifest(reference: str) -> Manifest:
    return Manifest(
        name=reference,
        reference=reference,
        kind="chat",
        source="file:/x.gguf",
        license="",
        files=(PinnedFile(path="x.gguf", sha256=SHA256, bytes=len(CONTENT)),),
        trained_context_tokens=2048,
        context_tokens=1024,
        parallel=2,
        pulled_at_us=1,
    )


def build(into: Path) -> Manifest:
    (into / "x.gguf").write_bytes(CONTENT)
    (into / "archive.whl").write_bytes(b"needed on the way only")
    return manifest("m")


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def test_an_installed_model_is_found_and_built_once(store: ModelStore) -> None:
    assert store.all() == []
    model = store.install("m", build)
    assert model.weights.read_bytes() == CONTENT
    assert sorted(path.name for path in model.directory.iterdir()) == ["manifest.json", "x.gguf"]

    def never(into: Path) -> Manifest:
        raise AssertionError("built again")

    assert store.install("m", never) == model
    assert store.all() == [model] == [store.get("m")]


def test_a_build_that_fails_leaves_no_model_but_its_work(store: ModelStore) -> None:
    def fails(into: Path) -> Manifest:
        (into / "x.gguf.partial").write_bytes(b"wei")
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.install("m", fails)
    assert store.find("m") is None
    assert store.all() == []

    def resumes(into: Path) -> Manifest:
        assert (into / "x.gguf.partial").read_bytes() == b"wei"
        return build(into)

    assert store.install("m", resumes).weights.read_bytes() == CONTENT


def test_verify_finds_a_flipped_bit_and_a_missing_file(store: ModelStore) -> None:
    model = store.install("m", build)
    assert store.verify("m") == []
    damaged = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
    model.weights.write_bytes(damaged)
    assert store.verify("m") == [Fault("x.gguf", SHA256, hashlib.sha256(damaged).hexdigest())]
    model.weights.unlink()
    assert store.verify("m") == [Fault("x.gguf", SHA256, "")]
    assert store.install("m", build, again=True).weights.read_bytes() == CONTENT
    assert store.verify("m") == []


def test_what_was_removed_is_gone(store: ModelStore) -> None:
    model = store.install("m", build)
    assert store.remove("m") >= len(CONTENT)
    assert not model.directory.exists()
    with pytest.raises(NotFound, match="arkwright models pull m"):
        store.get("m")
    with pytest.raises(NotFound):
        store.remove("m")


def test_of_two_pulls_the_second_waits_and_finds(store: ModelStore) -> None:
    building, go_on, told, results = threading.Event(), threading.Event(), threading.Event(), []

    def slow(into: Path) -> Manifest:
        building.set()
        assert go_on.wait(10)
        return build(into)

    def never(into: Path) -> Manifest:
        raise AssertionError("built twice")

    def progress(done_bytes: int, total_bytes: int | None, what: str) -> None:
        assert "waiting" in what
        told.set()

    first = threading.Thread(target=lambda: results.append(store.install("m", slow)))
    first.start()
    assert building.wait(10)
    second = threading.Thread(target=lambda: results.append(store.install("m", never, progress=progress)))
    second.start()
    assert told.wait(10)
    go_on.set()
    first.join(10)
    second.join(10)
    assert results == [store.get("m")] * 2


KILLED = """
import sys, time
from pathlib import Path
from arkwright.store.weights import ModelStore
def build(into):
    (into / "x.gguf").write_bytes(b"wei")
    print("half", flush=True)
    time.sleep(60)
ModelStore(Path(sys.argv[1])).install("m", build)
"""


def test_a_killed_pull_leaves_no_model_and_no_lock(store: ModelStore) -> None:
    argv = [sys.executable, "-c", KILLED, str(store.root)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    assert store.find("m") is None
    began = time.monotonic()
    assert store.install("m", build).weights.read_bytes() == CONTENT
    assert time.monotonic() - began < 5


def test_a_reference_is_one_directory_name() -> None:
    assert slug("smollm2-135m-instruct") == "smollm2-135m-instruct"
    source = "hf:owner/repository/some dir/x.Q4.gguf@main"
    assert slug(source).startswith("x.Q4.gguf-main-")
    assert slug(source) != slug("hf:other/repository/some dir/x.Q4.gguf@main")
    assert slug("/models/x.gguf") == slug("file:/models/x.gguf") == slug("file:/models/./x.gguf")
    assert all("/" not in slug(bad) and not slug(bad).startswith(".") for bad in ("..", "file:..", "hf:a/../..", "."))

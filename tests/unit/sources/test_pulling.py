"""References, files of this machine, and what the store makes of them."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from arkwright.basics.errors import InvalidInput, NotFound, Unprocessable
from arkwright.sources import fetch
from arkwright.sources.fetching import Wanted, all_parts
from arkwright.sources.pulling import canonical, pull
from arkwright.store.model_list import PinnedFile
from arkwright.store.weights import ModelStore
from tests.unit.sources.test_gguf_header import written


def test_a_reference_has_one_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "someone"))
    assert canonical("all-minilm-l6-v2") == "all-minilm-l6-v2"
    assert canonical("x.gguf") == canonical("./x.gguf") == canonical("file:x.gguf") == f"file:{tmp_path}/x.gguf"
    assert canonical("~/x.gguf") == f"file:{tmp_path}/someone/x.gguf"
    assert canonical("hf:a/b/c.gguf@main") == "hf:a/b/c.gguf@main"
    with pytest.raises(InvalidInput, match="file:, hf:, pypi:"):
        canonical("ftp:x.gguf")
    with pytest.raises(NotFound, match="did you mean"):
        canonical("all-minilm")


def test_a_model_in_parts_is_all_its_parts() -> None:
    assert all_parts("a/x.gguf") == ["a/x.gguf"]
    assert all_parts("a/x-00002-of-00003.gguf") == [f"a/x-0000{n}-of-00003.gguf" for n in (1, 2, 3)]


def test_a_file_is_pulled_described_and_its_original_kept(tmp_path: Path) -> None:
    original = written(tmp_path / "tiny.gguf")
    store = ModelStore(tmp_path / "models")
    model = pull(store, str(original))
    assert model.manifest.name == "tiny"
    assert model.manifest.reference == f"file:{original}"
    assert (model.manifest.kind, model.manifest.context_tokens, model.manifest.license) == ("chat", 2048, "apache-2.0")
    assert store.verify(model.manifest.reference) == []
    store.remove(str(original))
    assert original.exists()


def test_a_file_on_another_disk_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    original = written(tmp_path / "tiny.gguf")
    model = pull(ModelStore(tmp_path / "models"), f"file:{original}")
    assert model.weights.read_bytes() == original.read_bytes()
    assert model.weights.stat().st_nlink == 1


def test_a_file_with_another_hash_is_refused_and_its_original_kept(tmp_path: Path) -> None:
    original = written(tmp_path / "tiny.gguf")
    into = tmp_path / "into"
    into.mkdir()
    pin = PinnedFile(path="tiny.gguf", sha256="0" * 64, bytes=original.stat().st_size)
    with pytest.raises(Unprocessable) as refused:
        fetch(Wanted(source=f"file:{original}", into=into, files=(pin,)), lambda *_: None)
    assert hashlib.sha256(original.read_bytes()).hexdigest() in refused.value.message
    assert list(into.iterdir()) == []
    assert original.exists()


def test_what_is_no_model_is_not_kept(tmp_path: Path) -> None:
    original = tmp_path / "text.gguf"
    original.write_text("not a model")
    store = ModelStore(tmp_path / "models")
    with pytest.raises(Unprocessable, match="it was not kept"):
        pull(store, str(original))
    assert store.all() == []
    assert not list((tmp_path / "models").rglob("*.gguf"))
    assert original.exists()
    with pytest.raises(NotFound, match=r"gone\.gguf is not a file"):
        pull(store, str(tmp_path / "gone.gguf"))

"""The two writers of a journal, in Python and native (where that is built), for tests that hold both to the same."""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from arkwright.basics import native
from arkwright.store.journal import Disk, JournalWriter

Writer = type[Any]  # Journal and JournalWriter have one face.
NATIVE_BUILT = native.modules().get("store._journal", False)


def writer(name: str) -> Writer:
    """By its name: python or native. Skips the test where the native one is not built."""
    if name == "python":
        return JournalWriter
    if not NATIVE_BUILT:
        pytest.skip("the native journal is not built here")
    found: Writer = importlib.import_module("arkwright.store._journal").Journal
    return found


class Watched(writer("native") if NATIVE_BUILT else JournalWriter):  # type: ignore[misc]
    """The native one (where it is built) with an `append` and a disk that a test can wrap."""

    def __init__(self, journal_dir: Path, **given: Any) -> None:
        super().__init__(journal_dir, **{"disk": Disk(), **given})

    def append(self, payload: bytes, on_durable: Callable[[], None] | None = None) -> None:
        super().append(payload, on_durable)


def in_modules(monkeypatch: pytest.MonkeyPatch, name: str, *modules: str) -> None:
    """What those modules call `JournalWriter` is this one, for the length of a test."""
    for module in modules:
        monkeypatch.setattr(f"{module}.JournalWriter", writer(name))

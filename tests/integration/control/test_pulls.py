"""Weights that a deployment needs and the model store does not have."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from arkwright.basics.errors import Unavailable
from arkwright.control import pulls as module
from arkwright.control.pulls import Pulls
from arkwright.sources import pulling
from arkwright.store.weights import ModelStore

pytestmark = pytest.mark.anyio


async def _until(pulls: Pulls, expected: str) -> None:
    for _ in range(500):
        if await pulls.waiting_for("source") == expected:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"never {expected!r}")


async def test_a_pull_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, there = threading.Event(), threading.Event(), threading.Event()
    calls = []

    def pull(store: Any, source: str, progress: Any) -> Any:
        calls.append(source)
        progress(25_000_000, 100_000_000, "model.gguf")
        begun.set()
        go_on.wait(10)
        there.set()

    monkeypatch.setattr(pulling, "pull", pull)
    monkeypatch.setattr(ModelStore, "find", lambda self, source: object() if there.is_set() else None)
    pulls = Pulls(tmp_path)
    assert await pulls.waiting_for("source") == "getting the weights of source"
    await asyncio.to_thread(begun.wait, 10)
    assert await pulls.waiting_for("source") == "getting the weights: model.gguf 20 % of 100 MB"
    go_on.set()
    await _until(pulls, "")
    assert calls == ["source"], "pulled once, however often it was asked for"


async def test_a_failed_pull_says_why_until_it_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def pull(store: Any, source: str, progress: Any) -> Any:
        calls.append(source)
        raise Unavailable("the mirror is away")

    monkeypatch.setattr(pulling, "pull", pull)
    monkeypatch.setattr(module, "AGAIN_S", 0.3)
    pulls = Pulls(tmp_path)
    assert "getting" in await pulls.waiting_for("source")
    with pytest.raises(Unavailable, match="away"):
        await _until(pulls, "")
    with pytest.raises(Unavailable, match="away"):
        await pulls.waiting_for("source")
    assert len(calls) == 1
    await asyncio.sleep(0.35)
    await pulls.waiting_for("source")
    with pytest.raises(Unavailable, match="away"):
        await _until(pulls, "")
    assert len(calls) == 2

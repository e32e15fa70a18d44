"""Kept answers go when their time is over, by themselves."""

import asyncio
import os
from pathlib import Path

import pytest

from arkwright.basics.settings import Settings
from arkwright.control import answers

pytestmark = pytest.mark.anyio


async def test_old_answers_are_taken_away_and_young_ones_left(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path), idempotency_retention_s=3600.0)
    settings.paths.make()
    old, young = (settings.paths.answers / name[:2] / name for name in ("aa1", "bb2"))
    for path in (old, young):
        path.parent.mkdir()
        path.write_bytes(b"x")
    os.utime(old, (1, 1))
    sweeping = asyncio.create_task(answers.run(settings, every_s=0.01))
    async with asyncio.timeout(10):
        while old.exists():
            await asyncio.sleep(0.01)
    assert young.exists()
    sweeping.cancel()

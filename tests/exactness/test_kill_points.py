"""Kill -9 at named points under real requests: nothing lost, doubled or kept. The short form of `torture`."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from arkwright.store.database import Database
from tests.exactness import mutants
from tests.exactness.scene import Scene
from tests.exactness.torture import DEPOSIT_PICO, Report, Torture, Writer

pytestmark = pytest.mark.anyio


async def killed(
    database: Database,
    root: Path,
    *,
    kills: int,
    requests: int,
    seed: int = 7,
    mutant: str = "",
    power_cut: bool | None = None,
    writer: Writer | None = None,
    variant: str = "",
) -> Report:
    scene = Scene(database, root, DEPOSIT_PICO)
    async with AsyncExitStack() as stack, asyncio.timeout(120):
        await stack.enter_async_context(scene)  # It knows its port only now.
        torture = Torture(scene, seed, mutant=mutant, power_cut=power_cut, writer=writer, variant=variant)
        await stack.enter_async_context(torture)
        return await torture.run(kills=kills, requests=requests, clients=12, checkpoint_kills=kills // 2)


async def test_nothing_is_lost_doubled_or_kept(database: Database, tmp_path: Path) -> None:
    report = await killed(database, tmp_path, kills=50, requests=2_000)
    assert report.exact, report
    assert sum(report.kills.values()) >= 50
    assert len(report.kills) >= 24, "too few points were reached"
    assert sum(times for point, times in report.kills.items() if point.startswith("control")) >= 8
    assert report.checkpoints >= 1
    assert report.epochs >= 1
    assert report.acknowledged >= 2_000
    assert report.broken > 0, "nothing was ever interrupted"


@pytest.mark.parametrize(
    ("mutant", "power_cut", "writer"),
    [("ack before fsync", True, "python"), ("buffered write", False, "python"), ("buffered write", False, "native")],
)
async def test_an_answer_that_is_not_on_the_disk_is_found_out(
    database: Database, tmp_path: Path, mutant: str, power_cut: bool, writer: Writer
) -> None:
    report = await killed(database, tmp_path, kills=20, requests=300, mutant=mutant, power_cut=power_cut, writer=writer)
    assert report.lost, f"{mutant!r} passes for right: {report}"


def test_a_mutant_without_its_line_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mutants.MUTANTS, "gone", (mutants.Edit(Scene, "born", "a line that is not there\n", ""),))
    with pytest.raises(LookupError, match="has no single"):
        mutants.apply("gone")

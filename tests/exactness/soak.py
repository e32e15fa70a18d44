"""The state machine of the books, until it has done a million operations.

    python -m tests.exactness.soak [--operations N] [--seed N]

An operation is a charge that was served, a duplicate of one, or a step of any other kind. A run that fails says what it
did, step by step; the same seed does it again.
"""

import argparse
import asyncio
import contextlib
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import structlog
from hypothesis import HealthCheck, Phase
from hypothesis.stateful import run_state_machine_as_test

from arkwright.basics import collector
from benchmarks.table import table
from tests.conftest import TemporaryDatabase
from tests.exactness import ledger_machine
from tests.exactness.ledger_machine import LedgerMachine
from tests.exactness.scene import database_of_its_own

BATCH_MAX, STEPS, EXAMPLES = 1_500, 40, 5
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate],
)  # fmt: skip


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The URL of a migrated database that others may be copied from."""
    with (
        tempfile.TemporaryDirectory(prefix="arkwright-soak-", ignore_cleanup_errors=True) as root,
        asyncio.Runner() as runner,
    ):
        stack = contextlib.AsyncExitStack()
        database = runner.run(stack.enter_async_context(database_of_its_own(Path(root))))
        runner.run(database.close())
        try:
            yield database.url
        finally:
            runner.run(stack.aclose())


def soak(operations: int, seed: int, url: str) -> int:
    """Returns how many rounds it took."""
    name = url.split("/")[3].split("?")[0]
    postgres = url.replace(f"/{name}?", "/postgres?")
    done = rounds = 0
    began = time.monotonic()
    while done < operations:

        class Machine(LedgerMachine):
            new_database = staticmethod(lambda: TemporaryDatabase(postgres, name))
            batch_max = BATCH_MAX

        run_state_machine_as_test(hypothesis.seed(seed + rounds)(Machine), settings=SETTINGS)
        rounds += 1
        done = sum(ledger_machine.totals.values())
        sys.stdout.write(f"{time.monotonic() - began:6.0f} s  {done:9,} operations\n")
        sys.stdout.flush()
    return rounds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.exactness.soak", description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    sys.stdout.write(f"seed {given.seed}\n")
    collector.seldom()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    began = time.monotonic()
    with server() as url:
        rounds = soak(given.operations, given.seed, url)
    counts = sorted(ledger_machine.totals.items(), key=lambda item: -item[1])
    rows = [[name, f"{times:,}"] for name, times in counts]
    rows.append(["all operations", f"{sum(ledger_machine.totals.values()):,}"])
    rows.append(["lives of a platform", str(rounds * EXAMPLES)])
    rows.append(["took", f"{time.monotonic() - began:.0f} s"])
    sys.stdout.write(table(["every law held after every step", "count"], rows) + "\n")


if __name__ == "__main__":
    main()

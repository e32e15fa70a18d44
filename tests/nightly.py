"""What takes hours, one after the other, and one table at the end: `make nightly` (`.ci/nightly`).

    python -m tests.nightly [--quick] [--only NAME …] [--into FOLDER]

Each is a command of its own whose exit code is its result; what it said lies in FOLDER, and its last lines here if it
failed. `--quick` gives each a moment, to see that all of them run.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.table import table

FAILED_LINES = 20
PYTEST = ("pytest", "-q", "-p", "no:cacheprovider")


class Job(NamedTuple):
    """`long` or `quick` is added to the command."""

    name: str
    command: tuple[str, ...]
    long: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


JOBS = (
    Job("soak of the gateway", ("tests.integration.gateway.soak", "--minutes"), ("60",), ("0.5",)),
    Job("fuzzing", ("tests.fuzz", "--seconds"), ("1800",), ("5",)),
    Job(
        "smuggling, cut at every fifth byte", (*PYTEST, "tests/integration/gateway/test_smuggling.py"),
        quick=("-k", "pipelines"), environment=(("SMUGGLING_CUTS", "5"),),
    ),
    Job("kills at named points", ("tests.exactness.torture",), (), ("--kills", "5", "--requests", "500")),
    Job("a fleet of doubles under fire", ("tests.exactness.fleet", "--doubles"), (), ("--seconds", "6")),
    Job(
        "a fleet of engines under fire", ("tests.exactness.fleet", "--streams", "16"), (),
        ("--seconds", "6", "--streams", "2"),
    ),
    Job("control and database away", ("tests.exactness.outage",), (), ("--seconds", "5")),
    Job("soak of the books", ("tests.exactness.soak", "--operations"), ("1000000",), ("2000",)),
)  # fmt: skip


class Result(NamedTuple):
    name: str
    code: int
    seconds: float
    last: list[str]


def run(job: Job, into: Path, *, quick: bool) -> Result:
    command = [sys.executable, "-m", *job.command, *(job.quick if quick else job.long)]
    said = into / f"{job.name.replace(' ', '-').replace(',', '')}.log"
    began = time.monotonic()
    print(f"{job.name}: {' '.join(command[1:])}", flush=True)
    with said.open("w") as log:
        done = subprocess.run(
            command, stdout=log, stderr=subprocess.STDOUT, check=False, env=os.environ | dict(job.environment)
        )
    last = [line for line in said.read_text(errors="replace").splitlines() if line.strip()]
    return Result(job.name, done.returncode, time.monotonic() - began, last)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", choices=[job.name for job in JOBS])
    parser.add_argument("--into", type=Path, default=Path("nightly"), help="where the logs go")
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)
    results = [run(job, given.into, quick=given.quick) for job in JOBS if not given.only or job.name in given.only]
    for result in results:
        if result.code:
            print(f"\n{result.name} ended with {result.code}:\n" + "\n".join(result.last[-FAILED_LINES:]))
    rows = [
        [result.name, "ok" if result.code == 0 else f"FAILED ({result.code})", f"{result.seconds / 60:.1f}",
         result.last[-1][:80] if result.last else ""]
        for result in results
    ]  # fmt: skip
    print("\n" + table(["what", "result", "minutes", "its last word"], rows))
    return any(result.code for result in results)


if __name__ == "__main__":
    sys.exit(main())

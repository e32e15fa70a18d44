"""`python -m benchmarks.money [--quick]`: every figure that the money side promises, beside its promise, in one table.

Each is measured by a program of its own, one after the other, so that none shares the machine with another.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks.table import spread, table

Row = tuple[str, str, str]  # What, the goal, the figure.


class Program(NamedTuple):
    module: str
    quick: tuple[str, ...]  # Arguments for a look rather than a measurement.
    rows: Callable[[Any], list[Row]]


def admission(told: Any) -> list[Row]:
    rounds = told["rounds"]
    figure = spread([one["whole_us"] for one in rounds], ".2f")
    return [("admission: key + limits + hold + correction, CPU µs a request", "≤ 8", figure)]


def journal(told: Any) -> list[Row]:
    figure = spread([one["events_per_second"] for one in told["rounds"]], ",.0f")
    return [("journal, one worker: events/s on disk", "≥ 80,000", figure)]


def settling(told: Any) -> list[Row]:
    rounds = told["rounds"]
    return [
        (
            "settler into PostgreSQL: charges/s",
            "≥ 20,000",
            spread([one["charges_per_second"] for one in rounds], ",.0f"),
        ),
        ("of it the settler, CPU µs a charge", "", spread([one["settler_cpu_us"] for one in rounds])),
        ("of it PostgreSQL, CPU µs a charge", "", spread([one["postgres_cpu_us"] for one in rounds])),
    ]


# The ways that have a goal; the others are told by `benchmarks.leagues` itself.
_LEAGUE_GOALS = {"raw events in Parquet (DuckDB)": "≤ 500", "roll-up of months (PostgreSQL)": "≤ 50"}


def leagues(told: Any) -> list[Row]:
    return [
        (f"league by {one['dimension']}, {one['way']}: ms", _LEAGUE_GOALS[one["way"]], spread(one["ms"]))
        for one in told["measured"]
        if one["way"] in _LEAGUE_GOALS
    ]


PROGRAMS = (
    Program("admission", ("--rounds", "3", "--requests", "10000"), admission),
    Program("journal", ("--rounds", "2", "--records", "30000"), journal),
    Program("settling", ("--rounds", "2", "--charges", "20000"), settling),
    Program("leagues", ("--rounds", "3", "--events", "200000"), leagues),
)


def measured(program: Program, *, quick: bool) -> list[Row]:
    argv = [sys.executable, "-m", f"benchmarks.{program.module}", "--json", *(program.quick if quick else ())]
    sys.stderr.write(f"{program.module} …\n")
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return [(program.module, "", f"failed ({done.returncode})")]
    return program.rows(json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.money", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look: small numbers, no measurement")
    given = parser.parse_args()
    rows = [row for program in PROGRAMS for row in measured(program, quick=given.quick)]
    sys.stdout.write(table(["money", "goal", "median (min to max)"], rows) + "\n")
    if any("failed" in figure for _, _, figure in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()

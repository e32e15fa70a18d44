"""`python -m benchmarks.gateway [--rounds N] [--seconds S] [--variants python,pump] [--profile FOLDER]`.

The gateway has one core, mock and load have the other. Contenders take turns, so that a noisy neighbour slows all
alike; what is compared is CPU time, and its ratio to nginx in the same round.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.gateway import nginx, ours, plain, profile
from benchmarks.gateway.plain import Plain
from benchmarks.gateway.processes import Missing, Running, cores
from benchmarks.table import spread, table

REFERENCE = nginx.NAME


def contenders(stack: ExitStack, upstream: int, variants: Sequence[str], directory: Path) -> list[Running]:
    """All that could be started, ours first; who could not is said at once."""
    core, _ = cores()
    found = []
    for variant in variants:
        made = ours.gateway(ours.snapshot(upstream), directory / variant, core, variant=variant)
        try:
            found += stack.enter_context(made)
        except Missing as why:
            say(f"arkwright ({variant}) is left out: {why}")
    found.append(stack.enter_context(nginx.peer(upstream, directory / "nginx-peer", core)))
    return found


def measure_plain(all_running: list[Running], given: argparse.Namespace, directory: Path) -> dict[str, list[Plain]]:
    """Each in turn, round by round; the first round warms up and is left out."""
    _, load_core = cores()
    scripts = {one.name: plain.script(one, plain.body(one.model), directory) for one in all_running}
    rounds: dict[str, list[Plain]] = {one.name: [] for one in all_running}
    for number in range(given.rounds + 1):
        for one in all_running:
            seconds = given.seconds if number else min(given.seconds, 2.0)
            rounds[one.name].append(plain.measure(one, scripts[one.name], core=load_core, seconds=seconds))
    for one in all_running:
        if one.check is not None:
            answered, charged = sum(found.requests for found in rounds[one.name]), int(one.check())
            if not answered <= charged <= answered + plain.CONNECTIONS * (given.rounds + 1):
                raise SystemExit(f"{one.name}: {answered} requests were answered, {charged} were charged")
    return {name: found[1:] for name, found in rounds.items()}


def report_plain(rounds: dict[str, list[Plain]]) -> str:
    reference = rounds[REFERENCE]
    rows = []
    for name, found in rounds.items():
        ratios = [mine.per_cpu_second / its.per_cpu_second for mine, its in zip(found, reference, strict=True)]
        rows.append(
            [
                name,
                spread([one.per_cpu_second for one in found], ",.0f"),
                spread(ratios, ".2f"),
                spread([one.cpu_us for one in found], ".1f"),
                spread([one.per_second for one in found], ",.0f"),
                spread([one.share for one in found], ".2f"),
            ]
        )
    head = ["64 connections, 0.6 KB in, 1 KB out", "requests a CPU-second", "x nginx", "CPU us a request", "requests/s",
            "CPU share"]  # fmt: skip
    return table(head, rows)


def profiled(all_running: list[Running], folder: Path, directory: Path) -> None:
    for one in all_running:
        if one.name.startswith(ours.NAME):
            lua = plain.script(one, plain.body(one.model), directory)
            say("\n".join(profile.record(one, lua, cores()[1], folder)))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def load_average() -> str:
    return ", ".join(f"{one:.1f}" for one in os.getloadavg())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a load phase")
    parser.add_argument("--variants", default=",".join(ours.variants()), help="of our own gateway: python, pump")
    parser.add_argument("--profile", metavar="FOLDER", help="record ours with perf and py-spy; nothing is timed")
    given = parser.parse_args()
    began = load_average()
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="arkwright-bench-") as made:
        directory = Path(made)
        upstream = stack.enter_context(nginx.mock(directory / "nginx-mock", cores()[1]))
        running = contenders(stack, upstream, ours.chosen(given.variants.split(",")), directory)
        if given.profile:
            profiled(running, Path(given.profile), directory)
            return
        say(report_plain(measure_plain(running, given, directory)))
    say(f"\n{given.rounds} rounds of {given.seconds:.0f} s; load average {began} before, {load_average()} after.")


if __name__ == "__main__":
    main()

"""`python -m benchmarks.gateway [--peers] [--rounds N] [--seconds S] [--variants python,pump] [--phases plain,…]`.

The gateway has one core, mock and load have the other. Contenders take turns, so that a noisy neighbour slows all
alike; what is compared is CPU time, and its ratio to nginx in the same round.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.gateway import memory, nginx, ours, plain, profile, report, timed, workers
from benchmarks.gateway.contenders import Field, Start, field_of, say, starts
from benchmarks.gateway.peers import PEERS
from benchmarks.gateway.plain import Plain
from benchmarks.gateway.processes import Running, cores, keep_priority
from benchmarks.table import spread

QUICK = ("plain", "latency", "streams", "bodies")
SLOW = ("crowd", "memory", "workers")
CROWD = 256  # Where an answer waits for the disk, so many are needed to keep a core busy.
BIG_CONNECTIONS, BIG_S = 8, 2.0
PROMPT_BYTES, IMAGE_BYTES = 128 * 1024, 2 * 1024 * 1024


class Run:
    """One run: its options, its directory, who could not be had, and what must be said below the tables."""

    def __init__(self, given: argparse.Namespace, directory: Path) -> None:
        self.given = given
        self.directory = directory
        self.missing: dict[str, str] = {}
        self.notes: list[str] = []
        self.figures: dict[str, Any] = {}
        self.variants = ours.chosen(given.variants.split(","))
        self.wanted: dict[str, Start] = starts(self.variants, list(PEERS) if given.peers else [])

    def answering(self, phases: list[str]) -> None:
        """Those phases whose upstream answers at once."""
        place = self.directory / "answering"
        with nginx.mock(place / "mock", cores()[1]) as port, field_of(port, place, self.wanted, self.missing) as field:
            if self.given.profile:
                self.profiled(field)
                return
            if "plain" in phases:
                self.show("plain", report.plain, self.plain(field, plain.CONNECTIONS))
            if "crowd" in phases:
                self.show("crowd", partial(report.plain, connections=CROWD), self.plain(field, CROWD))
            if "latency" in phases:
                self.show("latency", report.latency, self.latency(field))
            if "bodies" in phases:
                prompts = self.loaded(field, "128 KB prompts", lambda model: plain.body(model, PROMPT_BYTES))
                images = self.loaded(field, "2 MB images", lambda model: plain.image_body(model, IMAGE_BYTES))
                self.show("bodies", report.bodies, {"prompts": prompts, "images": images})
            self.notes += field.notes

    def show(self, phase: str, render: Callable[[Any, Collection[str]], str], found: Any) -> None:
        """The table, and the figures it is made of for `--json`."""
        self.figures[phase] = found
        say(render(found, self.wanted) + "\n")

    def plain(self, field: Field, connections: int) -> dict[str, list[Plain]]:
        """Ours is held to its books: what was answered was charged, and no more than could be on its way besides."""
        scripts = {one.name: plain.script(one, plain.body(one.model), field.directory) for one in field.running}
        answered = {one.name: 0 for one in field.running}
        before = {one.name: one.charged() for one in field.running if one.charged is not None}

        def measure(one: Running, warms: bool) -> Plain:
            seconds = one.warm_s if warms else self.given.seconds
            found = plain.measure(one, scripts[one.name], seconds, connections=connections)
            answered[one.name] += found.requests
            return found

        rounds = field.turns(f"{connections} connections", self.given.rounds, measure)
        for one in field.running:
            if one.charged is not None:
                charged, seen = one.charged() - before[one.name], answered[one.name]
                if not 0 <= charged - seen <= connections * (self.given.rounds + 1):
                    raise SystemExit(f"{one.name}: {seen} were answered, {charged} charged")
                self.notes.append(f"{one.name}, {connections} connections: {charged:,} charged, {seen:,} answered")
        return rounds

    def latency(self, field: Field) -> dict[str, list[timed.Latency]]:
        def measure(one: Running, warms: bool) -> timed.Latency:
            if one is field.direct:
                disk.append(timed.disk_us(field.directory))
            return timed.latency(one, plain.body(one.model), self.shorter_s(warms))

        disk: list[tuple[int, int]] = []
        found = field.turns("latency", self.given.rounds, measure, direct=True)
        p50, p99 = ([one[at] / 1000 for one in disk] for at in (0, 1))
        self.notes.append(f"a write of 1 KB and its fdatasync on this disk: p50 {spread(p50)} ms, p99 {spread(p99)} ms")
        return found

    def loaded(self, field: Field, what: str, content: Callable[[str], bytes]) -> dict[str, list[Plain]]:
        scripts = {one.name: plain.script(one, content(one.model), field.directory) for one in field.running}

        def measure(one: Running, warms: bool) -> Plain:
            return plain.measure(one, scripts[one.name], 1 if warms else BIG_S, connections=BIG_CONNECTIONS)

        return field.turns(what, self.given.rounds, measure)

    def streams(self) -> None:
        place = self.directory / "streaming"
        place.mkdir()
        with timed.mock(place) as port, field_of(port, place, self.wanted, self.missing) as field:

            def measure(one: Running, warms: bool) -> timed.Streamed:
                seconds = max(self.shorter_s(warms), one.warm_s if one.warm_s > 2 else 0)
                return timed.streams(one, timed.stream_body(one.model), seconds)

            found = field.turns("streams", self.given.rounds, measure, direct=True)
            self.show("streams", report.streams, found)
            self.notes += field.notes

    def shorter_s(self, warms: bool) -> float:
        """Enough for thousands of latencies or events."""
        return 1.0 if warms else max(1.0, self.given.seconds * 2 / 3)

    def profiled(self, field: Field) -> None:
        for one in field.running:
            if one.name.startswith(ours.NAME):
                lua = plain.script(one, plain.body(one.model), field.directory)
                say("\n".join(profile.record(one, lua, cores()[1], Path(self.given.profile))))


def load_average() -> str:
    return ", ".join(f"{one:.1f}" for one in os.getloadavg())


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--peers", action="store_true", help="the other gateways, too: installs what can be had")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a load phase")
    parser.add_argument(
        "--variants", default=",".join(ours.variants()), help=f"of our own gateway: {', '.join(ours.VARIANTS)}"
    )
    parser.add_argument("--phases", default=",".join(QUICK), help=f"{', '.join((*QUICK, *SLOW))}; all")
    parser.add_argument("--json", metavar="FILE", help="keep the figures of each round there")
    parser.add_argument("--profile", metavar="FOLDER", help="record ours with perf and py-spy; nothing is timed")
    return parser.parse_args()


def main() -> None:
    given = options()
    phases = [*QUICK, *SLOW] if given.phases == "all" else given.phases.split(",")
    keep_priority(os.getpid())
    began = load_average()
    with tempfile.TemporaryDirectory(prefix="arkwright-bench-") as made:
        run = Run(given, Path(made))
        if given.profile or {"plain", "crowd", "latency", "bodies"} & set(phases):
            run.answering(phases)
        if "streams" in phases and not given.profile:
            run.streams()
        if "memory" in phases:
            say(memory.measure(Path(made) / "memory", run.variants) + "\n")
        if "workers" in phases:
            say(workers.measure(Path(made) / "workers", run.variants, given.seconds) + "\n")
    for name, why in run.missing.items():
        run.notes.append(f"{name} is left out: {why}")
    if given.json:
        Path(given.json).write_bytes(msgspec.json.format(msgspec.json.encode(run.figures)))
    say("\n".join(f"- {note}" for note in run.notes))
    say(f"\n{given.rounds} rounds of {given.seconds:.0f} s; load average {began} before, {load_average()} after.")


if __name__ == "__main__":
    main()

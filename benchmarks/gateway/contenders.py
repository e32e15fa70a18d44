"""Who takes part: ours in each variant, nginx, and with `--peers` the others; and how they take turns.

Law: turns are taken round by round; who fails has no figure, and the run says why.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmarks.gateway import nginx, ours
from benchmarks.gateway.peers import PEERS
from benchmarks.gateway.processes import Failed, Missing, Place, Running, cores

REFERENCE = nginx.NAME
DIRECT = "upstream alone"
Start = Callable[[Place], AbstractContextManager[Running]]
Found = TypeVar("Found")


@dataclass
class Field:
    """The contenders that answer; `direct` stands for nobody in between."""

    running: list[Running]
    direct: Running
    directory: Path
    notes: list[str] = field(default_factory=list)

    def turns(
        self, what: str, rounds: int, measure: Callable[[Running, bool], Found], *, direct: bool = False
    ) -> dict[str, list[Found]]:
        """One round more than asked for; `measure` is told that the first warms up, and it is left out."""
        everyone = [*([self.direct] if direct else []), *self.running]
        found: dict[str, list[Found]] = {one.name: [] for one in everyone}
        for number in range(rounds + 1):
            for one in [one for one in everyone if one.name in found]:
                try:
                    found[one.name].append(measure(one, number == 0))
                except Failed as why:
                    del found[one.name]
                    self.notes.append(f"{what}: {why}")
        return {name: rest for name, (_, *rest) in found.items()}


def starts(variants: Sequence[str], peers: Sequence[str]) -> dict[str, Start]:
    """By name, in the order of the turns: after each of ours comes nginx's turn, or another's."""
    found: dict[str, Start] = {f"{ours.NAME} ({one})": partial(ours.one, variant=one) for one in variants}
    found[REFERENCE] = nginx.peer
    return found | {name: PEERS[name] for name in peers}


@contextmanager
def field_of(upstream: int, directory: Path, wanted: dict[str, Start], missing: dict[str, str]) -> Iterator[Field]:
    """Start them all in front of one upstream. Who can't be had is added to `missing` and not tried again."""
    core, _ = cores()
    running = []
    with ExitStack() as stack:
        for number, (name, start) in enumerate(wanted.items()):
            if name in missing:
                continue
            place = Place(upstream, directory / f"contender-{number}", core)
            place.directory.mkdir(parents=True)
            try:
                running.append(stack.enter_context(start(place)))
            except Missing as why:
                missing[name] = str(why)
                say(f"{name} is left out: {why}")
        nobody = Running(DIRECT, upstream, None)
        yield Field(running, nobody, directory)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()

"""`run/metrics/<name>.json`: where each process of this host leaves its metrics every second, for whoever is scraped.

Law: a board says what its process knew when it was written; one that is older than a few seconds is nobody's and is
left out. Holds counts only, never a customer's name, key or words.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from arkwright.host.metric_names import METRICS

STALE_S = 5.0

Families = dict[str, list[str]]  # "name type" → its series.
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Families)


class Board:
    """One process's file among the others."""

    def __init__(self, directory: Path, slot: int) -> None:
        self._directory = directory
        self._mine = directory / f"{slot}.json"
        directory.mkdir(exist_ok=True)

    def put(self, families: Families) -> None:
        """Raises OSError when the disk does not take it."""
        fresh = self._mine.with_suffix(".new")
        fresh.write_bytes(_encoder.encode(families))
        fresh.rename(self._mine)

    def others(self, now: float) -> list[Families]:
        """What the other living processes left last."""
        return read(self._directory, now, but=self._mine)

    def take_down(self) -> None:
        """A process that ends is not counted for the seconds until its board is stale."""
        self._mine.unlink(missing_ok=True)


def read(directory: Path, now: float, *, but: Path | None = None) -> list[Families]:
    """The boards of all living processes of a host, in the order of their names."""
    found = []
    for path in sorted(directory.glob("*.json")):
        with suppress(OSError, msgspec.DecodeError):
            if path != but and now - path.stat().st_mtime < STALE_S:
                found.append(_decoder.decode(path.read_bytes()))
    return found


def render(boards: Sequence[Families]) -> bytes:
    """One text for all processes of this host: whichever of them a scrape reaches answers for all."""
    lines = []
    for family in dict.fromkeys(family for board in boards for family in board):
        name = family.partition(" ")[0]
        if (known := METRICS.get(name)) is not None:
            lines.append(f"# HELP {name} {known.meaning}")
        lines.append(f"# TYPE {family}")
        lines += [line for board in boards for line in board.get(family, ())]
    return ("\n".join(lines) + "\n").encode()

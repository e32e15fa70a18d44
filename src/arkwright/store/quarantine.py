"""Damage met in journals, set aside for people: what, where, and the damaged bytes themselves.

    quarantine/<journal>.<segment>.<offset>.<kind>.<digest>.json, and .bytes beside it where there are any

Law: a journal is never changed, and nothing is reported by being removed. The same damage is written down once, however
often it is met; the files stay until an operator takes them away. Bounded: so many reports, so many bytes of each.
"""

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from arkwright.store.frames import Flaw

REPORTS_MAX = 1_000
_BYTES_MAX = 1024 * 1024


class Damage(msgspec.Struct, frozen=True):
    """A flaw, and the journal it is in."""

    incarnation: str
    segment: int
    flaw: Flaw
    found_at_us: int


class Quarantine:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def put(self, damage: Damage, segment: Path | None) -> bool:
        """Write it down with its bytes; `segment`: their file. False when it was there, or there are too many.

        Blocking. Raises OSError.
        """
        self.directory.mkdir(mode=0o700, exist_ok=True)
        report = self.directory / f"{_name(damage)}.json"
        if report.exists() or len(self._reports()) >= REPORTS_MAX:
            return False
        if segment is not None and damage.flaw.end > damage.flaw.offset:
            with suppress(FileNotFoundError), segment.open("rb") as file:
                file.seek(damage.flaw.offset)
                _write(report.with_suffix(".bytes"), file.read(min(damage.flaw.end - damage.flaw.offset, _BYTES_MAX)))
        _write(report, msgspec.json.encode(damage))
        return True

    def damages(self) -> list[Damage]:
        """All there is, the longest known first."""
        found = []
        for report in self._reports():
            with suppress(OSError, msgspec.MsgspecError):
                found.append(msgspec.json.decode(report.read_bytes(), type=Damage))
        return sorted(found, key=lambda damage: damage.found_at_us)

    def counts(self) -> dict[str, int]:
        """How many of each kind, by their names alone."""
        counts: dict[str, int] = {}
        for report in self._reports():
            kind = report.name.split(".")[-3]
            counts[kind] = counts.get(kind, 0) + 1
        return counts

    def _reports(self) -> list[Path]:
        return sorted(self.directory.glob("*.*.*.*.*.json"))


def _name(damage: Damage) -> str:
    flaw = damage.flaw
    digest = sha256(msgspec.json.encode(flaw)).hexdigest()[:8]
    return f"{damage.incarnation}.{damage.segment:06d}.{flaw.offset}.{flaw.kind}.{digest}"


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(data)
    fresh.rename(path)

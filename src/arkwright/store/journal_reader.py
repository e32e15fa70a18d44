"""Reads journals back, from any position, while their writers may be writing.

A segment's first record says which it is; so a file under a wrong name is read in its turn all the same, and told of.

Law: what is handed out is on the disk, in order, and whole. Damage is handed out too, as a `Flaw`; only the torn end of
a dead writer's last segment is cut. Reads only: nothing here changes a journal.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from arkwright.domain import journal as records
from arkwright.domain.journal import Opened
from arkwright.store.frames import GENESIS, Flaw, Frame, frame_at, scan
from arkwright.store.journal import segment_name

_READ_BYTES = 1024 * 1024
_OPENING_BYTES = 4096


class Position(msgspec.Struct, frozen=True):
    """Where reading continues: after the record `sequence`, whose frame has the hash `head`."""

    segment: int
    offset: int
    sequence: int
    head: bytes


START = Position(1, 0, 0, GENESIS)


class Batch(msgspec.Struct, frozen=True):
    """Some frames of one segment, the flaws among them, and where to continue.

    `ended`: nothing further is there now. `end` may be in a later segment than the frames only when there are none.
    """

    frames: list[Frame]
    flaws: list[Flaw]
    end: Position
    ended: bool


def incarnations(journal_dir: Path) -> list[str]:
    """Whose journals are on this host, the oldest first."""
    try:
        return sorted(entry.name for entry in os.scandir(journal_dir) if entry.is_dir() and entry.name[0] != ".")
    except FileNotFoundError:
        return []


class JournalReader:
    def __init__(self, journal_dir: Path, incarnation: str) -> None:
        self.incarnation = incarnation
        self._directory = journal_dir / incarnation
        self._openings: dict[tuple[str, int], Opened] = {}  # File (name, inode) → its first record.
        self._told: set[str] = set()

    def writer_alive(self) -> bool:
        """Whether the writer still holds its lock. Once False, what is in the journal is all there will be."""
        try:
            fd = os.open(self._directory / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def segments(self) -> dict[int, Path]:
        """The file of each segment, in order: by its first record, or by its name where that can't be read."""
        return self._survey()[0]

    def read(self, position: Position, *, final: bool, bytes_max: int = _READ_BYTES) -> Batch:
        """The next frames. `final`: the writer was seen dead before this call, so an unfinished end is a torn one.

        Blocking. Raises OSError when the disk cannot be read or synced.
        """
        segments, strays = self._survey()  # Before reading: see `_cut`.
        batch = self._read(position, segments, final=final, bytes_max=bytes_max)
        path, name = segments.get(position.segment), segment_name(position.segment)
        flaws = []
        if path is not None and path.name != name and position.offset == 0:
            flaws.append(_misplaced(position, f"segment {position.segment} is in the file {path.name}"))
        if batch.ended:
            flaws += [_misplaced(position, stray) for stray in strays if stray not in self._told]
            self._told.update(strays)
        return msgspec.structs.replace(batch, flaws=[*flaws, *batch.flaws]) if flaws else batch

    def _read(self, position: Position, segments: dict[int, Path], *, final: bool, bytes_max: int) -> Batch:
        later = [number for number in segments if number > position.segment]
        try:
            fd = os.open(segments[position.segment], os.O_RDONLY | os.O_CLOEXEC)
        except (KeyError, FileNotFoundError):
            detail = f"segment {position.segment} is not there"
            return _moved(position, later, [Flaw("missing", 0, 0, position.sequence, detail)])
        try:
            size = os.fstat(fd).st_size
            if size < position.offset:
                detail = f"segment {position.segment} ends at byte {size}, before byte {position.offset}"
                return _moved(position, later, [Flaw("missing", size, position.offset, position.sequence, detail)])
            if size == position.offset:
                return _moved(position, later, [])
            batch = _read_frames(fd, position, size, _Bounds(bytes_max, bool(later), final))
            if not final and batch.frames:
                # The writer may not have come to it yet, and the ledger must not be ahead of the disk.
                os.fdatasync(fd)
            return batch
        finally:
            os.close(fd)

    def _survey(self) -> tuple[dict[int, Path], list[str]]:
        """Number → file, and what is to be said of files that are none of these: copies, and strangers."""
        found: dict[int, Path] = {}
        strays, doubtful = [], []
        for name, inode in self._files():
            number, path = int(name.partition(".")[0]), self._directory / name
            opened = self._opening(path, inode)
            if opened is not None and opened.incarnation != self.incarnation:
                strays.append(f"the file {name} is of the journal {opened.incarnation}")
            elif opened is not None and opened.segment == number:
                found[number] = path
            else:
                doubtful.append((opened is None, opened.segment if opened is not None else number, path))
        for _, number, path in sorted(doubtful):  # Those that say what they are come first.
            if number not in found:
                found[number] = path
            else:
                strays.append(f"the file {path.name} is a copy of segment {number}, or what is left of another")
        return dict(sorted(found.items())), strays

    def _files(self) -> list[tuple[str, int]]:
        try:
            with os.scandir(self._directory) as entries:
                names = [(entry.name, entry.inode()) for entry in entries]
        except FileNotFoundError:
            return []
        return sorted(one for one in names if one[0].endswith(".segment") and one[0].partition(".")[0].isdigit())

    def _opening(self, path: Path, inode: int) -> Opened | None:
        """A segment's first record; None while it has none, or none that is sound."""
        known = self._openings.get((path.name, inode))
        if known is not None:
            return known
        with suppress(OSError, msgspec.MsgspecError):
            with path.open("rb") as file:
                frame = frame_at(file.read(_OPENING_BYTES), 0)
            record = None if frame is None else records.decode(frame.payload)
            if isinstance(record, Opened):
                self._openings[(path.name, inode)] = record
                return record
        return None


def _misplaced(position: Position, detail: str) -> Flaw:
    return Flaw("misplaced", position.offset, position.offset, position.sequence, detail)


class _Bounds(msgspec.Struct, frozen=True):
    bytes_max: int
    sealed: bool  # A later segment exists, so this one is complete: an unfinished end is damage.
    final: bool


def _read_frames(fd: int, position: Position, size: int, bounds: _Bounds) -> Batch:
    length = bounds.bytes_max
    while True:
        data = os.pread(fd, length, position.offset)
        whole = position.offset + len(data) >= size
        found = list(scan(data, base=position.offset, sequence=position.sequence, head=position.head, whole=whole))
        last = found[-1] if found else None
        tail = last if isinstance(last, Flaw) and last.kind == "tail" else None
        if tail is not None:
            found.pop()
        if tail is None or whole or any(isinstance(one, Frame) for one in found):
            return _batch(position, found, _cut(tail, whole, bounds), ended=whole and not bounds.sealed)
        length *= 2  # A frame longer than the piece, or damage whose end is not in sight.


def _cut(tail: Flaw | None, whole: bool, bounds: _Bounds) -> Flaw | None:
    """What an unfinished end is: damage in a sealed segment, torn if the writer is dead, else not yet written."""
    if tail is None or not whole or not (bounds.sealed or bounds.final):
        return None
    return msgspec.structs.replace(tail, kind="rot") if bounds.sealed else tail


def _batch(position: Position, found: list[Frame | Flaw], tail: Flaw | None, *, ended: bool) -> Batch:
    frames = [one for one in found if isinstance(one, Frame)]
    flaws = [one for one in found if isinstance(one, Flaw)] + ([tail] if tail else [])
    end = position
    if frames:
        end = Position(position.segment, frames[-1].end, frames[-1].sequence, frames[-1].hash)
    if flaws:
        end = msgspec.structs.replace(end, offset=max(end.offset, *(flaw.end for flaw in flaws)))
    return Batch(frames, flaws, end, ended)


def _moved(position: Position, later: list[int], flaws: list[Flaw]) -> Batch:
    """To the next segment there is; where there is none, stay."""
    if not later:
        return Batch([], flaws, position, ended=True)
    if later[0] != position.segment + 1:
        detail = f"segments {position.segment + 1} to {later[0] - 1} are not there"
        flaws = [*flaws, Flaw("missing", 0, 0, position.sequence, detail)]
    return Batch([], flaws, Position(later[0], 0, position.sequence, position.head), ended=False)

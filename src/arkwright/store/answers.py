"""Answers kept for requests that may be sent again: one file for each key of a payer, shared by the workers of a host.

    answers/<two digits>/<digest>: one frame each for the claim, the answer, and the mark that all is done

A frame is magic "AKA1", payload length u32, CRC-32 of the payload u32, payload (msgpack); little-endian. Whoever
carries a request out holds the file's lock all the while, so the kernel tells when he is gone.

Law: the journal is the truth about the charge, the file about the answer. The claim names the event and the place in
its writer's journal before anything is sent; the answer is on the disk before its charge is written down; the mark
comes after the charge is on the disk. So whoever finds no mark looks into the journal: charged, the answer stands; not
charged, it is void and the request is free to be carried out. What can't be known is never charged again.
"""

import fcntl
import os
import struct
import zlib
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Literal

import msgspec

from arkwright.domain import journal as records
from arkwright.store.journal import Disk
from arkwright.store.journal_reader import JournalReader, Position

MAGIC = b"AKA1"
_header = struct.Struct("<4sII")
_READ_BYTES = 1024 * 1024


class Claim(msgspec.Struct, frozen=True, tag="claim"):
    """Who carries a request out, and from where on in his journal its charge will stand."""

    fingerprint: bytes  # Of method, path and body.
    event_id: bytes
    at_us: int
    incarnation: str
    place: Position


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What the client was told, to the byte; `streamed`: in parts, its length not known beforehand."""

    status: int
    headers: list[tuple[bytes, bytes]]  # The content type, and what else belongs to the answer itself.
    body: bytes
    streamed: bool


class _Done(msgspec.Struct, frozen=True, tag="done"):
    """The charge is on the disk."""


class Busy(msgspec.Struct, frozen=True):
    """Someone is at it; `fingerprint`: of what, as far as that can be read."""

    fingerprint: bytes | None


class Charged(msgspec.Struct, frozen=True):
    """It was answered and charged, once. `answer` None: charged, but its answer was not kept."""

    fingerprint: bytes
    event_id: bytes
    answer: Answer | None


class Kept(msgspec.Struct, frozen=True):
    """What a sweep left, and what it took away: expired by age, evicted because all together were too large."""

    entries: int
    bytes: int
    expired: int
    evicted: int


_Record = Claim | Answer | _Done
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[_Record] = msgspec.msgpack.Decoder(_Record)


class Entry:
    """A request that this process carries out: keep its answer, then say it is done; or drop it, uncharged."""

    def __init__(self, path: Path, fd: int, disk: Disk) -> None:
        self._path = path
        self._fd = fd
        self._disk = disk

    def keep(self, answer: Answer | None) -> None:
        """Bring claim and answer to the disk. None: only the claim, because the answer is too long to be kept.

        Blocking. Raises OSError; then at most the claim is kept.
        """
        if answer is not None:
            _append(self._disk, self._fd, answer)
        self._disk.sync(self._fd)
        self._disk.sync_directory(self._path.parent)
        self._disk.sync_directory(self._path.parent.parent)

    def done(self) -> None:
        """Its charge is on the disk. Where the mark can't be written, the journal tells the same."""
        with suppress(OSError):
            _append(self._disk, self._fd, _Done())
        self.let_go()

    def drop(self) -> None:
        """Nothing was charged: the key is as if it had never been used."""
        if self._fd < 0:  # Let go before: what is under the name now is another's.
            return
        try:
            self._path.unlink()
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._fd, 0)
        self.let_go()

    def let_go(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class AnswerStore:
    """Every call blocks for a moment of disk work; none waits for another process."""

    def __init__(self, directory: Path, journal_dir: Path, *, retention_us: int, disk: Disk | None = None) -> None:
        self._directory = directory
        self._journal_dir = journal_dir
        self._retention_us = retention_us
        self._disk = disk or Disk()

    def claim(self, name: str, claim: Claim) -> Entry | Busy | Charged:
        """Take a key for this request, or learn what became of it. Raises OSError when the disk does not take it."""
        path = self._directory / name[:2] / name
        fd = _locked(path)
        if fd is None:
            return Busy(_peek(path))
        try:
            found = self._look(fd, claim)
            if found is None:
                os.ftruncate(fd, 0)
                _append(self._disk, fd, claim)
                return Entry(path, fd, self._disk)
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return found

    def _look(self, fd: int, wanted: Claim) -> Busy | Charged | None:
        """None: the key is free."""
        found = _read(fd)
        if not found or not isinstance(found[0], Claim):
            return None
        claim = found[0]
        if wanted.at_us - claim.at_us > self._retention_us:
            return None
        answer = next((record for record in found if isinstance(record, Answer)), None)
        if not isinstance(found[-1], _Done):
            charged = self._charged(claim)
            if charged == "not yet":
                return Busy(claim.fingerprint)
            if charged == "no":
                return None
            with suppress(OSError):  # The next one need not look for it.
                _append(self._disk, fd, _Done())
        return Charged(claim.fingerprint, claim.event_id, answer)

    def _charged(self, claim: Claim) -> Literal["yes", "no", "not yet", "unknown"]:
        """Whether the event's charge stands in the journal of who claimed it. Unknown: that journal is damaged."""
        reader, position, damaged = JournalReader(self._journal_dir, claim.incarnation), claim.place, False
        alive = reader.writer_alive()  # Before reading: what a dead writer wrote is then all there.
        while True:
            batch = reader.read(position, final=not alive, bytes_max=_READ_BYTES)
            damaged = damaged or any(flaw.kind != "tail" for flaw in batch.flaws)
            if any(_settles(frame.payload, claim.event_id) for frame in batch.frames):
                return "yes"
            if batch.ended:
                break
            position = batch.end
        if alive:  # It is ending: its locks go one after the other.
            return "not yet"
        return "unknown" if damaged else "no"

    def sweep(self, now_us: int, *, bytes_max: int) -> Kept:
        """Take away what is older than the retention, and the oldest beyond `bytes_max` on the disk."""
        entries = []
        for path in self._directory.glob("??/*"):
            with suppress(OSError):
                stat = path.stat()
                entries.append((stat.st_mtime_ns // 1000, stat.st_blocks * 512, path))
        entries.sort()
        size, expired, evicted, left = sum(one[1] for one in entries), 0, 0, len(entries)
        for written_us, bytes_, path in entries:
            old = now_us - written_us > self._retention_us
            if not old and size <= bytes_max:
                break
            if _remove(path):
                size, left = size - bytes_, left - 1
                expired, evicted = expired + old, evicted + (not old)
        return Kept(left, size, expired, evicted)


def name_of(scope: str, key: bytes) -> str:
    """The file of a key, which never stands in a name itself: it is the customer's word."""
    return sha256(scope.encode() + b"\0" + key).hexdigest()


def _settles(payload: bytes, event_id: bytes) -> bool:
    if event_id not in payload:
        return False
    with suppress(msgspec.MsgspecError):  # A record of a later version is none that this one wrote.
        record = records.decode(payload)
        return isinstance(record, records.Settled) and record.event_id == event_id
    return False


def _locked(path: Path) -> int | None:
    """The file, locked, made if need be; None while another has it."""
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            continue
        if not _lock(fd):
            os.close(fd)
            return None
        if _is_at(path, fd):
            return fd
        os.close(fd)  # Dropped or swept by whoever had it before.


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def _remove(path: Path) -> bool:
    """Unless someone is at it."""
    with suppress(OSError):
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if _lock(fd) and _is_at(path, fd):
                path.unlink()
                return True
        finally:
            os.close(fd)
    return False


def _peek(path: Path) -> bytes | None:
    with suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = _read(fd, bytes_max=_header.size + 4096)
            return found[0].fingerprint if found and isinstance(found[0], Claim) else None
        finally:
            os.close(fd)
    return None


def _append(disk: Disk, fd: int, record: _Record) -> None:
    """All of a frame or nothing of it. Raises OSError."""
    payload = _encoder.encode(record)
    before = os.fstat(fd).st_size
    rest = memoryview(_header.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload)
    try:
        while rest:
            rest = rest[disk.write(fd, rest) :]
    except OSError:
        os.ftruncate(fd, before)
        raise


def _read(fd: int, bytes_max: int | None = None) -> list[_Record]:
    """The frames from the start that are whole; what follows a torn one was never finished."""
    size = os.fstat(fd).st_size
    data = os.pread(fd, size if bytes_max is None else min(size, bytes_max), 0)
    found: list[_Record] = []
    at = 0
    while len(data) - at > _header.size:
        magic, length, crc = _header.unpack_from(data, at)
        payload = data[at + _header.size : at + _header.size + length]
        if magic != MAGIC or len(payload) != length or zlib.crc32(payload) != crc:
            break
        try:
            found.append(_decoder.decode(payload))
        except msgspec.MsgspecError:
            break
        at += _header.size + length
    return found

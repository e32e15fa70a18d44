"""The bytes of a journal: one record in one frame, each frame carrying the hash of the one before.

    magic "AKJ1" | payload length u32 | sequence u64 | crc32 u32 | hash of the previous frame 32 bytes | payload

Little-endian; the CRC covers length, sequence, previous hash and payload. No I/O here.

Law: a frame that does not check out is never taken for a record and never passed over in silence; zeros are no records.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import Literal

import msgspec

MAGIC = b"AKJ1"
GENESIS = bytes(32)  # What the first frame of an incarnation names as its predecessor.
PAYLOAD_MAX = 16 * 1024 * 1024

_header = struct.Struct("<4sIQI32s")
_checked = struct.Struct("<IQ32s")
HEADER_BYTES = _header.size


class Frame(msgspec.Struct, frozen=True):
    """A frame that checked out. `offset` and `end` are bytes in its segment, `hash` is the SHA-256 of all its bytes."""

    offset: int
    end: int
    sequence: int
    previous: bytes
    payload: bytes
    hash: bytes


class Flaw(msgspec.Struct, frozen=True):
    """A stretch of a segment that holds no record it should.

    tail      nothing valid until the end of what was read: a torn write if its writer is dead, else one under way
    rot       damaged bytes; valid frames follow
    chain     the frame at `offset` is sound, but names another predecessor than the one read
    gap       the frame at `offset` is sound, but records are missing before it
    replayed  a sound frame whose sequence was there before: passed over
    missing   a segment's file is not there, or ends before what was already read from it
    misplaced a segment's file has another name than its first record says, or is a copy, or of another journal
    """

    kind: Literal["tail", "rot", "chain", "gap", "replayed", "missing", "misplaced"]
    offset: int
    end: int
    after_sequence: int  # The last record before the flaw.
    detail: str


def encode(payload: bytes, sequence: int, previous: bytes) -> bytes:
    """One frame. Raises ValueError for an empty or an oversize payload."""
    if not 0 < len(payload) <= PAYLOAD_MAX:
        raise ValueError(f"a journal record has 1 to {PAYLOAD_MAX} bytes, not {len(payload)}")
    crc = zlib.crc32(payload, zlib.crc32(_checked.pack(len(payload), sequence, previous)))
    return _header.pack(MAGIC, len(payload), sequence, crc, previous) + payload


def hash_of(frame: bytes) -> bytes:
    return hashlib.sha256(frame).digest()


def frame_at(data: bytes, at: int, base: int = 0) -> Frame | None:
    """The frame that starts at data[at], if one does that is whole and sound; `base` is where data starts."""
    if data[at : at + 4] != MAGIC or len(data) - at <= HEADER_BYTES:
        return None
    _, length, sequence, crc, previous = _header.unpack_from(data, at)
    end = at + HEADER_BYTES + length
    if not 0 < length <= PAYLOAD_MAX or end > len(data):
        return None
    payload = data[at + HEADER_BYTES : end]
    if zlib.crc32(payload, zlib.crc32(_checked.pack(length, sequence, previous))) != crc:
        return None
    return Frame(base + at, base + end, sequence, previous, payload, hash_of(data[at:end]))


def scan(data: bytes, *, base: int, sequence: int, head: bytes, whole: bool) -> Iterator[Frame | Flaw]:
    """Every frame and every flaw of `data`, in order.

    `base` is where in the segment data starts; `sequence` and `head` are those of the last frame before it; `whole`
    says that the segment has no more bytes than these now.
    """
    at = 0
    while at < len(data):
        frame = frame_at(data, at, base)
        if frame is None:
            resume = _resync(data, at + 1, sequence, whole)
            kind: Literal["tail", "rot"] = "tail" if resume is None else "rot"
            end = len(data) if resume is None else resume
            yield Flaw(kind, base + at, base + end, sequence, f"{end - at} bytes that are no record")
            at = end
            if resume is not None:
                # What the damage held is counted below, as a gap or as a chain that does not meet.
                head = b""
            continue
        at = frame.end - base
        if frame.sequence <= sequence:
            yield Flaw("replayed", frame.offset, frame.end, sequence, f"record {frame.sequence} was there before")
            continue
        flaw = _misfit(frame, sequence, head)
        if flaw is not None:
            yield flaw
        yield frame
        sequence, head = frame.sequence, frame.hash


def _misfit(frame: Frame, sequence: int, head: bytes) -> Flaw | None:
    if frame.sequence != sequence + 1:
        lost = f"records {sequence + 1} to {frame.sequence - 1} are missing"
        return Flaw("gap", frame.offset, frame.offset, sequence, lost)
    if frame.previous != head and head:
        return Flaw("chain", frame.offset, frame.offset, sequence, f"record {frame.sequence} follows another record")
    return None


def _resync(data: bytes, start: int, sequence: int, whole: bool) -> int | None:
    """Where after damage the next frame starts.

    Bytes inside a damaged payload may look like a frame (whoever chose them may have meant so). So the first choice is
    a frame that another one names as its predecessor; only without any such to the end of the segment, the first that
    is sound in itself.
    """
    sound = None
    at = data.find(MAGIC, start)
    while at != -1:
        frame = frame_at(data, at)
        if frame is not None and frame.sequence > sequence:
            following = frame_at(data, frame.end)
            if following is not None and following.previous == frame.hash:
                return at
            sound = at if sound is None else sound
        at = data.find(MAGIC, at + 1)
    return sound if whole else None

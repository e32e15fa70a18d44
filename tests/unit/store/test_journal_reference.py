"""The page on the journal's bytes is true: its example is decoded by its own tables, and by the code."""

import hashlib
import re
import struct
import zlib
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from arkwright.domain import journal as records
from arkwright.store import frames
from arkwright.store.frames import Flaw, Frame

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "journal.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, without its head."""
    lines = PAGE.split(heading, 1)[1].splitlines()
    table: list[str] = []
    for line in lines:
        if line.startswith("|"):
            table.append(line)
        elif table:
            break
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table[2:]]


def example() -> bytes:
    dump = PAGE.split("```hex\n")[1].split("```")[0]
    data = b""
    for line in dump.splitlines():
        assert int(line[:6], 16) == len(data), "the offsets of the dump"
        part = bytes.fromhex(line[8:55])
        assert line[57:] == "".join(chr(sign) if 32 <= sign < 127 else "." for sign in part)
        data += part
    return data


def field(data: bytes, name: str, frame_at: int) -> bytes:
    """By the page's own table."""
    offset, size = next((row[0], row[1]) for row in rows("## Frames") if row[2] == name)
    length = struct.unpack_from("<I", data, frame_at + 4)[0] if size == "length" else int(size)
    start = frame_at + int(offset)
    return data[start : start + length]


def test_the_table_of_the_header_is_the_code() -> None:
    table = rows("## Frames")
    sizes = [int(row[1]) for row in table[:-1]]
    assert [int(row[0]) for row in table] == [sum(sizes[:number]) for number in range(len(table))]
    assert sum(sizes) == frames.HEADER_BYTES == 52
    assert struct.calcsize("<4sIQI32s") == 52
    longest = re.search(r"1 to ([\d,]+)", PAGE)
    assert longest is not None
    assert int(longest[1].replace(",", "")) == frames.PAYLOAD_MAX


def test_the_example_is_decoded_by_the_tables_alone() -> None:
    data, previous = example(), bytes(32)
    table = rows("## An example")
    for number, (_, offset, length, sequence, crc, digest) in enumerate(table, start=1):
        at = int(offset)
        assert field(data, "magic", at) == b"AKJ1"
        payload = field(data, "payload", at)
        assert (int.from_bytes(field(data, "length", at), "little"), len(payload)) == (int(length), int(length))
        assert int.from_bytes(field(data, "sequence", at), "little") == int(sequence) == number
        assert field(data, "previous", at) == previous
        checked = b"".join(field(data, name, at) for name in ("length", "sequence", "previous", "payload"))
        assert int.from_bytes(field(data, "crc", at), "little") == zlib.crc32(checked) == int(crc, 16)
        previous = hashlib.sha256(data[at : at + 52 + len(payload)]).digest()
        assert previous.hex() == digest
    assert int(table[-1][1]) + 52 + int(table[-1][2]) == len(data)


def test_the_example_is_what_the_code_writes_and_reads() -> None:
    data = example()
    found = list(frames.scan(data, base=0, sequence=0, head=frames.GENESIS, whole=True))
    opened, voided = (records.decode(frame.payload) for frame in found if isinstance(frame, Frame))
    assert len(found) == 2
    assert opened == records.Opened("w_01", "host_01", 0, 1, 1_770_000_000_000_000)
    assert isinstance(voided, records.Voided)
    assert (voided.event_id, voided.status, voided.reason) == (bytes(range(16)), 503, "unreachable")
    first = frames.encode(records.encode(opened), 1, frames.GENESIS)
    assert first + frames.encode(records.encode(voided), 2, frames.hash_of(first)) == data


def test_every_kind_of_flaw_is_told_of() -> None:
    kinds = get_args(next(one.type for one in msgspec.structs.fields(Flaw) if one.name == "kind"))
    assert {row[0] for row in rows("## Reading")} == set(kinds)


@pytest.mark.parametrize("at", range(0, 133, 3))
def test_a_changed_byte_of_the_example_is_no_frame(at: int) -> None:
    data = bytearray(example())
    data[at] ^= 1
    assert frames.frame_at(bytes(data), 0) is None

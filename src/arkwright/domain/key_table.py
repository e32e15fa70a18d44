"""API keys as a snapshot carries them: packed, so that a million of them take little memory and no time to load.

Law: a table says of each key what the mapping that it was made of said, and of every other one nothing. It is decoded
one key at a time, when that key is asked for; whoever asks again soon had better remember (`State.recognized`).
"""

import sys
from bisect import bisect_left
from collections.abc import Iterator, Mapping

import msgspec

from arkwright.domain.tenancy import Key

_DIGEST = 32
_WORD = 8


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """Digests in order, where each one's record ends, and the records, each whole: views of what was decoded."""

    digests: memoryview = memoryview(b"")
    ends: memoryview = memoryview(b"")  # Machine words: a snapshot never leaves its host.
    records: memoryview = memoryview(b"")


class _Record(Key, frozen=True, array_like=True):
    """A key without the names of its fields."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Record)


class KeyTable(Mapping[bytes, Key]):
    """Keys by the SHA-256 of their secret."""

    __slots__ = ("_digests", "_ends", "packed")

    def __init__(self, packed: Packed) -> None:
        """Raises ValueError for parts that do not belong together."""
        self.packed = packed
        self._digests = packed.digests
        self._ends = packed.ends.cast("Q") if len(packed.ends) % _WORD == 0 else memoryview(b"")
        count = len(packed.digests) // _DIGEST
        whole = len(packed.digests) == count * _DIGEST and len(self._ends) == count
        if not whole or (self._ends[-1] if count else 0) != len(packed.records):
            raise ValueError("the table of keys is torn")

    def __getitem__(self, digest: bytes) -> Key:
        at = bisect_left(range(len(self)), digest, key=self._digest)
        if at == len(self) or self._digest(at) != digest:
            raise KeyError(digest)
        begin = self._ends[at - 1] if at else 0
        return Key(*msgspec.structs.astuple(_decoder.decode(self.packed.records[begin : self._ends[at]])))

    def __iter__(self) -> Iterator[bytes]:
        return (self._digest(at) for at in range(len(self)))

    def __len__(self) -> int:
        return len(self._ends)

    def _digest(self, at: int) -> bytes:
        return bytes(self._digests[at * _DIGEST : (at + 1) * _DIGEST])


def pack(keys: Mapping[bytes, Key]) -> Packed:
    """Raises ValueError for a key that is no SHA-256."""
    if isinstance(keys, KeyTable):
        return keys.packed
    digests, ends, records = bytearray(), bytearray(), bytearray()
    for digest in sorted(keys):
        if len(digest) != _DIGEST:
            raise ValueError("keys are found by a SHA-256")
        digests += digest
        records += _encoder.encode(_Record(*msgspec.structs.astuple(keys[digest])))
        ends += len(records).to_bytes(_WORD, sys.byteorder)
    return Packed(memoryview(digests), memoryview(ends), memoryview(records))

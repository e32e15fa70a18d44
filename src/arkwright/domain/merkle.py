"""Merkle trees as RFC 6962 has them: leaf = H(0x00 ‖ data), node = H(0x01 ‖ left ‖ right), H = SHA-256.

Law: a leaf can never be taken for a node; a path leads from one leaf at one index to one root, and to no other.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Literal

Side = Literal["L", "R"]

EMPTY = sha256(b"").digest()  # The root of a tree without leaves.


def leaf(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Growing:
    """The root of a tree that is only ever added to, in the memory of its height."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []  # Of whole subtrees, the largest first.

    def add(self, leaf_hash: bytes) -> None:
        size, top = self.size, leaf_hash
        while size & 1:
            top = node(self._peaks.pop(), top)
            size >>= 1
        self._peaks.append(top)
        self.size += 1

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY
        top = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            top = node(peak, top)
        return top


class Tree:
    """A whole tree in memory, for the paths of its leaves."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        self._levels = [list(leaves)]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            pairs = [node(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
            self._levels.append(pairs + below[len(below) & ~1 :])  # A lone last one moves up as it is.

    @property
    def root(self) -> bytes:
        return self._levels[-1][0] if self._levels[0] else EMPTY

    def path(self, index: int) -> list[bytes]:
        """The siblings from the leaf up; those that are not there are left out."""
        found = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                found.append(level[index ^ 1])
            index >>= 1
        return found

    def turns(self, index: int) -> list[tuple[Side, bytes]]:
        """The same with the side of each, `L` or `R`: a path that does not tell how many leaves there are."""
        found: list[tuple[Side, bytes]] = []
        for level in self._levels[:-1]:
            if index ^ 1 < len(level):
                found.append(("L" if index & 1 else "R", level[index ^ 1]))
            index >>= 1
        return found


def root_by_path(leaf_hash: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Where a path leads from the leaf at `index` of `size` (RFC 9162 §2.1.3.2); None when it has no such shape."""
    if not 0 <= index < size:
        return None
    at, last, top = index, size - 1, leaf_hash
    for sibling in path:
        if last == 0:
            return None
        if at & 1 or at == last:
            top = node(sibling, top)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            top = node(top, sibling)
        at, last = at >> 1, last >> 1
    return top if last == 0 else None


def root_by_turns(leaf_hash: bytes, turns: Iterable[tuple[Side, bytes]]) -> bytes:
    top = leaf_hash
    for side, sibling in turns:
        top = node(sibling, top) if side == "L" else node(top, sibling)
    return top

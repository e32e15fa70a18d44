"""Receives large files: hashed while they are written, resumable, never half-believed.

*Law*: a file has its final name only when it is complete, on disk and of the expected hash; until then it is called
`<name>.partial`. A wrong hash deletes the partial file; a full disk or a cut line keeps it, so that the next attempt
goes on where this one ended.
"""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from arkwright.basics.errors import Unavailable, Unprocessable

CHUNK_BYTES = 1024 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Progress(Protocol):
    """Told now and then how far it is; `total_bytes` is None while nobody knows. Must return quickly, never raise."""

    def __call__(self, done_bytes: int, total_bytes: int | None, what: str, /) -> None: ...


def silent(done_bytes: int, total_bytes: int | None, what: str) -> None:
    """For whoever does not want to know."""


def partial_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.partial")


def received_bytes(target: Path) -> int:
    """How much of `target` an interrupted attempt left behind."""
    try:
        return partial_of(target).stat().st_size
    except FileNotFoundError:
        return 0


def receive(
    chunks: Iterable[bytes],
    target: Path,
    *,
    expected_sha256: str | None = None,
    total_bytes: int | None = None,
    resume: bool = False,
    progress: Progress = silent,
) -> str:
    """Write `chunks` to `target` and return its SHA-256 in hex; with `resume`, they follow what is there already.

    Raises Unprocessable (`wrong_hash`) when it is another file, Unavailable (`incomplete`, `disk_full`) otherwise.
    """
    partial = partial_of(target)
    with told_when_full(target.parent, (total_bytes or 0) - (received_bytes(target) if resume else 0)):
        digest = hash_of(partial) if resume and partial.exists() else hashlib.sha256()
        with partial.open("ab" if resume else "wb") as file:
            done = file.tell()
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                progress(done, total_bytes, target.name)
            file.flush()
            os.fsync(file.fileno())
    if total_bytes is not None and done < total_bytes:
        raise Unavailable(
            f"{target.name} ended after {done:,} of {total_bytes:,} bytes; run the command again to go on from there",
            code="incomplete",
        )
    check_hash(partial, digest.hexdigest(), expected_sha256, target.name)
    partial.rename(target)
    return digest.hexdigest()


def check_hash(path: Path, found: str, expected: str | None, name: str) -> None:
    """Delete `path` and raise Unprocessable (`wrong_hash`) when it is not what was expected."""
    if expected is None or found == expected:
        return
    path.unlink(missing_ok=True)
    raise Unprocessable(
        f"{name} is not the file it should be: its SHA-256 is {found}, expected {expected}. It was deleted. Run the"
        " command again; if the hash stays wrong, the source or a mirror in between serves another file: do not use it",
        code="wrong_hash",
    )


def hash_of(path: Path, progress: Progress = silent) -> "hashlib._Hash":
    """The running SHA-256 of a file."""
    total = path.stat().st_size
    digest = hashlib.sha256()
    done = 0
    for chunk in chunks_of(path):
        digest.update(chunk)
        done += len(chunk)
        progress(done, total, path.name)
    return digest


def chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@contextlib.contextmanager
def told_when_full(directory: Path, needed_bytes: int) -> Iterator[None]:
    """Turn "no space left" into what a person needs to know: where, how much is missing, that nothing was lost."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise _full(directory, needed_bytes) from error


def check_space(directory: Path, needed_bytes: int) -> None:
    """Refuse before a download that cannot end well. Raises Unavailable (`disk_full`)."""
    if shutil.disk_usage(directory).free < needed_bytes:
        raise _full(directory, needed_bytes)


def _full(directory: Path, needed_bytes: int) -> Unavailable:
    free = shutil.disk_usage(directory).free
    needed = f"{_mib(needed_bytes)} are needed" if needed_bytes > 0 else "more is needed"
    return Unavailable(
        f"the disk of {directory} is full: {needed}, {_mib(free)} are free. Nothing that was there is lost; make room"
        " (or set model_store to another disk) and run the command again",
        code="disk_full",
    )


def _mib(size_bytes: int) -> str:
    return f"{-(-size_bytes // 1048576):,} MiB"

"""`file:/models/x.gguf`: weights that lie on this machine. The original is only read, never moved or changed.

On the same disk it is linked (nothing is copied, and deleting the original does not take it away); else it is copied.
"""

import contextlib
import os
from pathlib import Path

from arkwright.basics.errors import NotFound
from arkwright.sources.fetching import Fetched, Wanted, all_parts
from arkwright.store.downloads import (
    Progress,
    check_hash,
    check_space,
    chunks_of,
    hash_of,
    partial_of,
    receive,
)


def fetch(wanted: Wanted, progress: Progress) -> list[Fetched]:
    """Raises NotFound for a path that is no file, else what `receive` raises."""
    return [_fetch_one(Path(part).expanduser().absolute(), wanted, progress) for part in all_parts(wanted.reference)]


def _fetch_one(original: Path, wanted: Wanted, progress: Progress) -> Fetched:
    if not original.is_file():
        raise NotFound(f"{original} is not a file; file: wants the path of one on this machine")
    target = wanted.into / original.name
    pin = wanted.pinned(target.name)
    expected = pin.sha256 if pin else None
    if _linked(original, target):
        partial = partial_of(target)
        found = hash_of(partial, lambda done, total, _: progress(done, total, target.name)).hexdigest()
        check_hash(partial, found, expected, target.name)
        partial.rename(target)
        return Fetched(target, found)
    total = original.stat().st_size
    check_space(wanted.into, total)
    found = receive(chunks_of(original), target, expected_sha256=expected, total_bytes=total, progress=progress)
    return Fetched(target, found)


def _linked(original: Path, target: Path) -> bool:
    """False where the file system (another disk, no hard links) or the kernel (another's file) says no."""
    partial = partial_of(target)
    partial.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        os.link(original.resolve(), partial)
        return True
    return False

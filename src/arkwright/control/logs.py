"""What the processes of this host wrote, read by bytes: the end of a file, and what came since.

Law: only files of the logs directory are read, by the names that a listing gives; a read is bounded, and no secret
leaves: what looks like one is blotted out, whoever wrote it.
"""

import asyncio
import os
import re
from pathlib import Path

import msgspec

from arkwright.basics.errors import NotFound
from arkwright.basics.settings import Settings

PAGE_BYTES = 64 * 1024
LINE_CHARACTERS_MAX = 2_000
_FILES_MAX = 500
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")
# Keys that this platform gives out, keys of the form that upstreams use, headers and URLs that carry one, and the keys
# of engines (64 hexadecimal digits).
_SECRETS = re.compile(
    r"\b(?:sk|ak|ark|adm|pat|whsec)-[A-Za-z0-9_\-]{12,}"
    r"|(?i:\bbearer\s+)[^\s\"',]{8,}"
    r"|(?i:\b(?:api[-_]?key|authorization|password|secret|token)\b[\"']?\s*[:=]\s*[\"']?)[^\s\"',&]{8,}"
    r"|(?<=://)[^\s/:@]+:[^\s/@]+(?=@)"
    r"|\b[0-9a-f]{64}\b"
)
BLOT = "[hidden]"


class LogFile(msgspec.Struct, frozen=True):
    """`name`: of the process that writes it."""

    name: str
    bytes: int
    written_at_us: int


class LogPage(msgspec.Struct, frozen=True):
    """Whole lines, the oldest first. `next`: the byte that what comes later begins at. `began_anew`: what was read
    before is in another file now, and this one was begun.
    """

    name: str
    lines: list[str]
    next: int
    skipped_bytes: int = 0
    began_anew: bool = False


async def listing(settings: Settings) -> list[LogFile]:
    return await asyncio.to_thread(_files, settings.paths.logs)


async def page(settings: Settings, name: str, after: int | None = None, most: int = PAGE_BYTES) -> LogPage:
    """From a byte on (the end of it, where there is more than `most`); None: the end of the file. Raises NotFound."""
    path = settings.paths.logs / f"{name}.log"
    if not _NAME.fullmatch(name):
        raise NotFound(f"there is no log {name[:80]!r}", param="log")
    try:
        return await asyncio.to_thread(_page, path, name, after, min(max(most, 1), PAGE_BYTES))
    except FileNotFoundError:
        raise NotFound(f"there is no log {name[:80]!r}; `arkwright logs` lists those there are", param="log") from None


def blotted(line: str) -> str:
    """Without what looks like a secret; cut where it is longer than a person reads."""
    return _SECRETS.sub(_blot, line)[:LINE_CHARACTERS_MAX]


def _blot(found: re.Match[str]) -> str:
    text = found.group()
    head = re.match(r"(?i)bearer\s+|[\w-]+[\"']?\s*[:=]\s*[\"']?", text)
    return f"{head.group() if head else ''}{BLOT}"


def _files(directory: Path) -> list[LogFile]:
    found = []
    for path in sorted(directory.glob("*.log"))[:_FILES_MAX]:
        try:
            seen = path.stat()
        except FileNotFoundError:
            continue
        found.append(LogFile(path.stem, seen.st_size, seen.st_mtime_ns // 1000))
    return found


def _page(path: Path, name: str, after: int | None, most: int) -> LogPage:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        anew = after is not None and after > size
        wanted = 0 if after is None or anew else after
        start = max(wanted, size - most)
        file.seek(start)
        raw = file.read(size - start)
    if start > wanted:  # In the middle of a line: what is left of it is left out.
        cut = raw.find(b"\n") + 1
        start, raw = start + cut, raw[cut:]
    whole = raw.rfind(b"\n") + 1  # A line that is being written is read with its end.
    if whole == 0 and len(raw) >= most:
        whole = len(raw)  # It has none within what is read at once.
    lines = [blotted(line) for line in raw[:whole].decode(errors="replace").split("\n")]
    if lines and not lines[-1]:
        lines.pop()
    skipped = start - wanted if after is not None and not anew else 0
    return LogPage(name, lines, start + whole, skipped, anew)

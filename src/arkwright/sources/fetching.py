"""What every source is asked, and what it answers: plain values."""

import re
from pathlib import Path

import msgspec

from arkwright.store.model_list import PinnedFile

_SPLIT = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """`source` with its scheme; `files` and `archive` are what it must be, where the model list says so."""

    source: str
    into: Path
    files: tuple[PinnedFile, ...] = ()
    archive: PinnedFile | None = None

    @property
    def reference(self) -> str:
        """The source without its scheme."""
        return self.source.partition(":")[2]

    def pinned(self, name: str) -> PinnedFile | None:
        return next((file for file in self.files if file.path == name), None)


class Fetched(msgspec.Struct, frozen=True):
    path: Path
    sha256: str


def all_parts(path: str) -> list[str]:
    """A model split into `…-00001-of-00003.gguf` is all its parts; anything else is itself."""
    match = _SPLIT.search(path)
    if match is None:
        return [path]
    stem, count = path[: match.start()], int(match[2])
    return [f"{stem}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1)]

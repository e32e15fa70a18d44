"""The model store: weights on disk, each model a directory with a manifest that pins every file.

    <store>/<slug>/manifest.json, <files>
    <store>/.partial/<slug>/…      being received; kept when interrupted, so that the next attempt goes on
    <store>/.locks/<slug>          held while a model is pulled or removed

*Law*: a directory without a dot is complete and was verified: it got its name by one rename, after everything in it was
on disk. Shared by every platform of a user, so nothing in here may belong to one of them.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from arkwright.basics.errors import NotFound
from arkwright.domain.catalog import ModelKind
from arkwright.store.downloads import Progress, hash_of, silent, told_when_full
from arkwright.store.model_list import PinnedFile

_POLL_S = 0.1
MANIFEST = "manifest.json"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored, and how it is meant to be served. The first file is what the engine loads."""

    name: str
    reference: str  # What it was pulled as, and is found by: the name in the model list, or the source.
    kind: ModelKind
    source: str
    license: str
    files: tuple[PinnedFile, ...]
    trained_context_tokens: int
    context_tokens: int  # Of one request.
    parallel: int
    pulled_at_us: int


class StoredModel(msgspec.Struct, frozen=True):
    manifest: Manifest
    directory: Path

    @property
    def weights(self) -> Path:
        """The file an engine loads."""
        return self.directory / self.manifest.files[0].path

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.manifest.files)


class Fault(msgspec.Struct, frozen=True):
    """What `verify` found wrong with a file."""

    path: str
    expected_sha256: str
    found_sha256: str  # Empty: the file is not there.


Build = Callable[[Path], Manifest]


class ModelStore:
    """All methods block: call them in a thread from an event loop."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()

    def find(self, reference: str) -> StoredModel | None:
        """What was pulled as `reference`: a name in the model list or a source, as it was given to `install`."""
        return _read(self.root / slug(reference))

    def get(self, reference: str) -> StoredModel:
        """Raises NotFound that says how to pull it."""
        found = self.find(reference)
        if found is None:
            raise NotFound(
                f"{reference} is not in the model store {self.root}; `arkwright models pull {reference}` gets it",
                code="not_pulled",
            )
        return found

    def all(self) -> list[StoredModel]:
        """By name."""
        if not self.root.is_dir():
            return []
        found = (_read(path) for path in self.root.iterdir() if not path.name.startswith("."))
        return sorted((model for model in found if model), key=lambda model: model.manifest.name)

    def install(self, reference: str, build: Build, *, again: bool = False, progress: Progress = silent) -> StoredModel:
        """Have `build` fill a directory and put it in place; what is there already is returned as it is.

        `build` gets a directory that holds what an interrupted attempt left behind, and answers what it put there; it
        has verified the files. Two pulls at once: the second waits, then finds the first one's work. `again` replaces
        what is there (after a failed `verify`); the old files stay until the new ones are complete.
        """
        with self._locked(reference, progress):
            found = self.find(reference)
            if found is not None and not again:
                return found
            partial = self.root / ".partial" / slug(reference)
            partial.mkdir(parents=True, exist_ok=True)
            manifest = build(partial)
            with told_when_full(self.root, 0):
                _write_durably(partial / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
            _keep_only(partial, {MANIFEST, *(file.path for file in manifest.files)})
            self._replace(self.root / slug(reference), partial)
            return self.get(reference)

    def remove(self, reference: str) -> int:
        """Delete a model, and what an interrupted pull of it left. Returns the bytes freed. Raises NotFound."""
        with self._locked(reference, silent):
            doomed = [self.root / slug(reference), self.root / ".partial" / slug(reference)]
            there = [directory for directory in doomed if directory.exists()]
            if not there:
                self.get(reference)
            freed = sum(file.stat().st_size for path in there for file in path.rglob("*") if file.is_file())
            for directory in there:
                # Its manifest first: a half-deleted directory must not look like a model.
                (directory / MANIFEST).unlink(missing_ok=True)
                shutil.rmtree(directory)
            return freed

    def verify(self, reference: str, progress: Progress = silent) -> list[Fault]:
        """Read every byte again and compare; an empty list means that all is as it was pulled. Raises NotFound."""
        model = self.get(reference)
        faults = []
        for file in model.manifest.files:
            path = model.directory / file.path
            found = hash_of(path, progress).hexdigest() if path.is_file() else ""
            if found != file.sha256:
                faults.append(Fault(file.path, file.sha256, found))
        return faults

    @contextlib.contextmanager
    def _locked(self, reference: str, progress: Progress) -> Iterator[None]:
        locks = self.root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / slug(reference)).open("ab") as file:
            while not _try_lock(file.fileno()):
                progress(0, None, f"waiting: another process is working on {reference}")
                time.sleep(_POLL_S)
            yield

    def _replace(self, place: Path, fresh: Path) -> None:
        old = self.root / ".partial" / f"{place.name}.old"
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)
            place.rename(old)
        fresh.rename(place)
        _sync_directory(self.root)
        shutil.rmtree(old, ignore_errors=True)


def normalized(reference: str) -> str:
    """The one way to write a reference: a bare path to a file is `file:`, and a path is absolute."""
    scheme, colon, rest = reference.partition(":")
    if scheme == "file" and colon:
        return f"file:{Path(rest).expanduser().absolute()}"
    is_path = reference.endswith(".gguf") and not re.match(r"[a-z]+:", reference)
    if is_path or reference.startswith(("/", "./", "../", "~")):
        return f"file:{Path(reference).expanduser().absolute()}"
    return reference


def slug(reference: str) -> str:
    """A directory name: a name in the model list as it is, a source readable and with a hash that keeps it apart."""
    reference = normalized(reference)
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]*", reference):
        return reference
    tail = re.sub(r"[^A-Za-z0-9._-]+", "-", reference.rsplit("/", 1)[-1]).strip("-.")[:60] or "model"
    return f"{tail}-{hashlib.sha256(reference.encode()).hexdigest()[:12]}"


def pinned(path: Path, sha256: str) -> PinnedFile:
    return PinnedFile(path=path.name, sha256=sha256, bytes=path.stat().st_size)


def _read(directory: Path) -> StoredModel | None:
    try:
        return StoredModel(msgspec.json.decode((directory / MANIFEST).read_bytes(), type=Manifest), directory)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _keep_only(directory: Path, names: set[str]) -> None:
    """What a source needed on the way (archives, unconverted files) is not kept."""
    for path in directory.iterdir():
        if path.name not in names:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

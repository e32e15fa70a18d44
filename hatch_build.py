"""Builds the native modules (`src/arkwright/**/_*.pyx`): beside their sources for an editable install, or into a wheel.

They make the data plane faster, and nothing needs them: without a compiler or Python's headers the package is pure
Python, and a note on stderr says so. `ARKWRIGHT_NATIVE=off` leaves them out, `on` makes their failure the build's.
A developer builds them by `make native`. Another module is another file: it is found by its name.

Law: an installation never fails for them, and never keeps one that was built from other sources.
"""

import os
import sys
import sysconfig
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent
SOURCE = ROOT / "src"
# No -march: a wheel runs on processors other than its builder's. What needs more asks the processor while it runs.
COMPILE = ["-O2", "-fno-plt", "-fno-semantic-interposition", "-g0"]
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))


class NativeModules(BuildHookInterface):  # type: ignore[type-arg]
    """What hatchling calls before it packs."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """`version`: "editable" or "standard"."""
        if version == "editable":
            build(SOURCE)
            return
        folder = Path(tempfile.mkdtemp(prefix="arkwright-native-"))
        for built in build(folder):
            build_data["force_include"][str(built)] = str(built.relative_to(folder))
            build_data["pure_python"] = False
            build_data["infer_tag"] = True


def sources() -> list[Path]:
    return sorted(SOURCE.glob("arkwright/**/_*.pyx"))


def build(target: Path) -> list[Path]:
    """The modules that were built, below `target`: all of them, or none."""
    wanted = os.environ.get("ARKWRIGHT_NATIVE", "auto")
    if wanted not in ("auto", "on", "off"):
        raise ValueError(f"ARKWRIGHT_NATIVE is auto, on or off, not {wanted!r}")
    _forget(target, everything=wanted == "off")
    if wanted == "off":
        return []
    try:
        return _compile(target)
    except (Exception, SystemExit) as error:  # A compiler fails in many ways, and none of them may stop an install.
        _forget(target, everything=True)
        if wanted == "on":
            raise
        reason = str(error).strip().splitlines() or [type(error).__name__]
        print(f"arkwright: built without its native modules, which make it faster: {reason[-1]}", file=sys.stderr)
        return []


def _compile(target: Path) -> list[Path]:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    here, there = Path.cwd(), ROOT / "build" / "native"
    headers = [str(path.relative_to(SOURCE)) for path in SOURCE.glob("arkwright/**/_*.h")]
    os.chdir(SOURCE)  # So that modules and what they cimport have their names from here.
    try:
        modules = [
            Extension(
                ".".join(path.relative_to(SOURCE).with_suffix("").parts),
                [str(path.relative_to(SOURCE))],
                include_dirs=sorted({str(Path(header).parent) for header in headers}),
                depends=[str(Path(__file__).resolve()), *headers],
                extra_compile_args=COMPILE,
            )
            for path in sources()
        ]
        ready = cythonize(modules, build_dir=str(there / "c"), language_level=3, quiet=True, force=_older(there / "c"))
        command = Distribution({"ext_modules": ready}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = str(target), str(there / "o")
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(here)
    return [target / path.relative_to(SOURCE).with_suffix(SUFFIX) for path in sources()]


def _older(folder: Path) -> bool:
    """Whether what Cython wrote there was written by another version of it, or by none."""
    version, said = metadata.version("cython"), folder / "cython.version"
    same = said.exists() and said.read_text() == version
    if not same:
        folder.mkdir(parents=True, exist_ok=True)
        said.write_text(version)
    return not same


def _forget(target: Path, *, everything: bool) -> None:
    """Take away what has no source any more, or all of it."""
    for built in target.glob("arkwright/**/_*.so"):
        if everything or not (SOURCE / built.relative_to(target)).with_name(f"{built.name.split('.')[0]}.pyx").exists():
            built.unlink()


if __name__ == "__main__":
    for module in build(SOURCE):
        print(module.relative_to(ROOT))

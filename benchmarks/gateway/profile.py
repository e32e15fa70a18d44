"""Where our gateway's time goes, while it is under load: `--profile FOLDER`.

`perf` says which library and which function of C, `py-spy` which line of Python had the interpreter.
Law: a profiled phase is never timed.
"""

import shutil
import subprocess
from collections import Counter
from pathlib import Path

from benchmarks.gateway import plain
from benchmarks.gateway.installed import from_pypi
from benchmarks.gateway.processes import Missing, Running, on_core

SECONDS = 8
SPY_HZ = 200
PERF_HZ = 1999
LINES = 60


def record(running: Running, lua: Path, core: int, folder: Path) -> list[str]:
    """Writes `<name>.perf.txt`, `<name>.spy.txt` and `<name>.collapsed` (for flame graphs); returns what was made."""
    folder.mkdir(parents=True, exist_ok=True)
    name = running.name.replace(" ", "-").strip("()").replace("(", "")
    made = []
    for make in (_perf, _spy):
        try:
            made += make(running, lua, core, folder / name)
        except Missing as why:
            made.append(f"nothing from {make.__name__.strip('_')}: {why}")
    return made


def _under_load(command: list[str], running: Running, lua: Path, core: int) -> None:
    recorder = subprocess.Popen(on_core(core, command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    plain.measure(running, lua, SECONDS + 2)
    recorder.wait(60)


def _perf(running: Running, lua: Path, core: int, path: Path) -> list[str]:
    perf = shutil.which("perf")
    if perf is None:
        raise Missing("not installed (Debian: linux-perf)")
    data = path.with_suffix(".perf.data")
    pids = ",".join(str(process.pid) for process in running.tree())
    command = [perf, "record", "-q", "-F", str(PERF_HZ), "-g", "-o", str(data), "-p", pids, "--", "sleep", str(SECONDS)]
    _under_load(command, running, lua, core)
    report = ""
    for sort in ("dso", "comm,dso,symbol"):
        asked = [perf, "report", "-i", str(data), "--stdio", "-g", "none", "--no-children", "--sort", sort]
        shown = subprocess.run([*asked, "--percent-limit", "0.4"], capture_output=True, text=True, check=False).stdout
        lines = [line for line in shown.splitlines() if line.strip() and not line.startswith("#")]
        report += f"by {sort}\n" + "\n".join(lines[:LINES]) + "\n\n"
    written = path.with_suffix(".perf.txt")
    written.write_text(report)
    return [str(written), str(data)]


def _spy(running: Running, lua: Path, core: int, path: Path) -> list[str]:
    spy = from_pypi("py-spy", "py-spy", "py-spy")
    collapsed = path.with_suffix(".collapsed")
    command = [spy, "record", "-p", str(running.tree()[0].pid), "-d", str(SECONDS), "-r", str(SPY_HZ), "-f", "raw",
               "--gil", "-o", str(collapsed)]  # fmt: skip
    _under_load(command, running, lua, core)
    if not collapsed.exists():
        raise Missing("it recorded nothing")
    written = path.with_suffix(".spy.txt")
    written.write_text(summary(collapsed.read_text()))
    return [str(written), str(collapsed)]


def summary(collapsed: str) -> str:
    """The functions with the most samples of their own, and those with the most below them."""
    own: Counter[str] = Counter()
    below: Counter[str] = Counter()
    for line in collapsed.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        own[frames[-1]] += int(count)
        for frame in set(frames):
            below[frame] += int(count)
    total = sum(own.values()) or 1
    parts = []
    for title, counted in (("of its own", own), ("with what it calls", below)):
        rows = [f"{count / total:6.1%}  {frame}" for frame, count in counted.most_common(LINES)]
        parts.append(f"{title} ({total} samples)\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"

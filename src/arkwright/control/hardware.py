"""What this machine has, and how much of it is in use: processors, memory, disk, accelerators.

Law: what can't be read is not known, never a zero. Nothing is started to find out.
"""

import os
import platform as machine
import shutil
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil

_NVIDIA = Path("/proc/driver/nvidia/gpus")
_DRM = Path("/sys/class/drm")
_AMD = "0x1002"
GPUS_MAX = 64


class Gpu(msgspec.Struct, frozen=True):
    """`memory_bytes` None: its driver does not say."""

    name: str
    memory_bytes: int | None = None
    used_bytes: int | None = None


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """`cores`: those that this process may use. `load`: processes that want to run, a mean of the last minute."""

    host: str
    system: str
    processor: str
    cores: int
    load: float
    memory_bytes: int
    memory_used_bytes: int
    disk_bytes: int
    disk_free_bytes: int
    gpus: list[Gpu]


def read(root: Path) -> Hardware:
    """Of this machine; the disk is the one that `root` lies on. Blocking, for a millisecond or two."""
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(root)
    return Hardware(
        host=machine.node(),
        system=f"{machine.system()} {machine.machine()}",
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        load=round(os.getloadavg()[0], 2),
        memory_bytes=memory.total,
        memory_used_bytes=memory.total - memory.available,
        disk_bytes=disk.total,
        disk_free_bytes=disk.free,
        gpus=gpus(),
    )


def gpus(nvidia: Path = _NVIDIA, drm: Path = _DRM) -> list[Gpu]:
    """As the kernel's drivers tell of them."""
    found = [Gpu(_named(card / "information")) for card in sorted(nvidia.glob("*"))[:GPUS_MAX]]
    for card in sorted(drm.glob("card[0-9]*"))[:GPUS_MAX]:
        device = card / "device"
        if _text(device / "vendor") == _AMD and (total := _text(device / "mem_info_vram_total")).isdigit():
            used = _text(device / "mem_info_vram_used")
            name = _text(device / "product_name") or "AMD"
            found.append(Gpu(name, int(total), int(used) if used.isdigit() else None))
    return found


def _named(information: Path) -> str:
    lines = dict(line.partition(":")[::2] for line in _text(information).splitlines())
    return lines.get("Model", "").strip() or "NVIDIA"


def _processor() -> str:
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return machine.processor() or machine.machine()


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(errors="replace").strip()
    return ""

from collections.abc import Callable
from pathlib import Path

from arkwright.store.journal import Disk

def crc32(data: bytes, crc: int = 0, *, portable: bool = False) -> int: ...
def sha256(data: bytes, *, portable: bool = False) -> bytes: ...

class Journal:
    told: Callable[[], object] | None
    def __init__(
        self,
        journal_dir: Path,
        *,
        incarnation: str,
        host: str,
        slot: int,
        segment_bytes: int,
        call_soon_threadsafe: Callable[..., object],
        on_failure: Callable[[BaseException], None] | None = None,
        disk: Disk | None = None,
    ) -> None: ...
    @property
    def durable(self) -> int: ...
    @property
    def failed(self) -> BaseException | None: ...
    @property
    def incarnation(self) -> str: ...
    @property
    def place(self) -> tuple[int, int, int, bytes]: ...
    def append(self, payload: bytes, on_durable: Callable[[], None] | None = None) -> None: ...
    def close(self) -> None: ...

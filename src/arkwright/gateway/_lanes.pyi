from collections.abc import Callable

from arkwright.gateway._records import Record
from arkwright.gateway._upstreams import Resting
from arkwright.gateway.lanes import Passage, Policy
from arkwright.host._permits import NativeGroup
from arkwright.host.permits import Group

class Lane:
    policy: Passage
    def __init__(
        self,
        *,
        policy: Passage,
        authorization: bytes,
        called: bytes,
        upstream_model: bytes | None,
        head: bytes,
        resting: Resting,
        group: NativeGroup,
        python_group: Group,
        prepaid: bool,
        context_tokens: int,
        output_tokens_default: int,
        tokens_around: int,
        tokens_per_message: int,
        hold_pico: tuple[int, int],
        prices_pico: tuple[int | None, ...],
        from_us: int,
        until_us: int,
        intent: Record,
        settled: Record,
        lines: list[Record],
    ) -> None: ...
    def drain(self) -> tuple[int, tuple[int, ...], int, tuple[int, ...], int, tuple[int, ...]]: ...

class Lanes:
    clock: Callable[[], int] | None
    def __init__(self, policy: Policy, edges_us: tuple[int, ...]) -> None: ...
    def forget(self) -> None: ...

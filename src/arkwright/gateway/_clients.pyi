from arkwright.basics.settings import Settings
from arkwright.gateway._lanes import Lanes
from arkwright.gateway._pump import Pump
from arkwright.gateway.lanes import Policy
from arkwright.host._permits import NativePermits
from arkwright.store._journal import Journal

class Clients:
    @property
    def busy(self) -> int: ...
    @property
    def draining(self) -> bool: ...
    @property
    def connections(self) -> int: ...
    def __init__(
        self,
        pump: Pump,
        journal: Journal,
        permits: NativePermits,
        lanes: Lanes,
        policy: Policy,
        timeouts: Settings,
        drain_idle_s: float,
        beginnings: tuple[bytes, bytes],
    ) -> None: ...
    def accepted(self, pump: Pump, fd: int) -> None: ...
    def release(self) -> None: ...
    def sweep(self) -> None: ...
    def drain(self) -> None: ...
    def give_up(self) -> None: ...

from arkwright.gateway._pump import Pump, Socket
from arkwright.gateway.upstream import Call
from arkwright.wire.openai_stream import StreamFollower

class Upstream(Socket):
    def expect(self) -> None: ...
    def relay(
        self, client: Socket, call: Call, follower: StreamFollower, rest: bytes, idle_s: float, events_max: int
    ) -> None: ...
    def count(self) -> None: ...

"""What is wanted of a replica, and why what runs is not what is wanted, in words.

Law: of two wishes the stricter one holds: a replica of a stopped deployment is stopped, whatever was said of it.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from arkwright.basics.saying import NOTHING, Said, as_is, say

# draining: it takes no new request, and finishes those it has.
DesiredState = Literal["running", "draining", "stopped"]
ReplicaState = Literal["starting", "ready", "failed", "stopped"]
_STRICTNESS: dict[str, int] = {"running": 0, "draining": 1, "stopped": 2}


class Standing(NamedTuple):
    """One replica. `in_flight` None: no gateway has told."""

    desired: DesiredState
    state: ReplicaState
    last_error: str = ""
    in_flight: int | None = None


def stricter(one: DesiredState, other: DesiredState) -> DesiredState:
    return max(one, other, key=lambda wish: _STRICTNESS[wish])


def gap(desired: DesiredState, replicas: Sequence[Standing]) -> Said:
    """Why what runs is not what is desired; nothing when it is."""
    if desired == "stopped":
        left = sum(replica.state not in ("stopped", "failed") for replica in replicas)
        return say("%(count)s still stopping", count=left) if left else NOTHING
    if not replicas:
        return say("no replica has been started yet")
    wanted = [replica for replica in replicas if replica.desired == "running"]
    if desired == "draining" or not wanted:
        return _withheld(desired, replicas)
    if any(replica.state == "ready" for replica in wanted):
        return NOTHING
    return as_is("; ".join(f"{one.state}: {one.last_error or 'no word yet'}" for one in wanted))


def _withheld(desired: DesiredState, replicas: Sequence[Standing]) -> Said:
    """None takes a new request: as was wanted of the deployment, or only of each replica by itself."""
    if desired == "running" and all(replica.desired == "stopped" for replica in replicas):
        return say("every replica was stopped by itself; start one")
    left = sum(replica.in_flight or 0 for replica in replicas if replica.desired != "stopped")
    if left:
        return say("it takes no new request; under way: %(count)s", count=left)
    return say("every replica drains by itself; start one") if desired == "running" else NOTHING

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
    wanted = [replica._replace(desired=stricter(desired, replica.desired)) for replica in replicas]
    if desired == "stopped":
        left = sum(replica.state not in ("stopped", "failed") for replica in wanted)
        return say("%(count)s still stopping", count=left) if left else NOTHING
    if not replicas:
        return say("no replica has been started yet")
    if all(replica.desired == "stopped" for replica in wanted):
        return say("every replica was stopped by itself; start one")
    if desired == "draining" or all(replica.desired != "running" for replica in wanted):
        return _draining(wanted)
    if any(replica.state == "ready" and replica.desired == "running" for replica in wanted):
        return NOTHING
    told = "; ".join(f"{one.state}: {one.last_error or 'no word yet'}" for one in wanted if one.desired == "running")
    return as_is(told)


def _draining(replicas: Sequence[Standing]) -> Said:
    """Until nothing is under way any more: then it is what was wanted, as far as the gateways tell."""
    draining = [replica for replica in replicas if replica.desired == "draining" and replica.state != "stopped"]
    left = sum(replica.in_flight or 0 for replica in draining)
    return say("it takes no new request; under way: %(count)s", count=left) if left else NOTHING

"""The places at bounded targets, as the queue of one worker asks for them.

Law: what was taken is given back once, by whoever took it; never more is taken than a target has.
"""

from typing import TYPE_CHECKING

import structlog

from arkwright.basics.errors import ArkwrightError
from arkwright.domain.catalog import Target
from arkwright.host.places import Places

if TYPE_CHECKING:
    from arkwright.gateway.worker import Worker

log = structlog.get_logger()


class Rooms:
    """The places at targets: shared by the workers of this host, or this worker's alone where they can't be."""

    def __init__(self, worker: "Worker") -> None:
        self._alone: dict[str, int] = {}
        self._places: Places | None = None
        try:
            self._places = worker.places()
        except (OSError, ArkwrightError) as error:
            log.error("places can't be shared; each worker keeps to a target's capacity by itself", error=str(error))

    def take(self, target: Target, count: int, now_ns: int, since_ns: int) -> bool:
        row = self._row(target)
        if self._places is not None and row is not None:
            return self._places.take(row, count, target.capacity, now_ns, since_ns)
        taken = self._alone.get(_where(target), 0) + count
        if taken > target.capacity:
            return False
        self._alone[_where(target)] = taken
        return True

    def give_back(self, target: Target, count: int) -> None:
        row = self._row(target)
        if self._places is not None and row is not None:
            self._places.give_back(row, count)
        else:
            self._alone[_where(target)] = self._alone.get(_where(target), 0) - count

    def wait(self, target: Target, since_ns: int, now_ns: int) -> None:
        row = self._row(target)
        if self._places is not None and row is not None:
            self._places.wait(row, since_ns, now_ns)

    def close(self) -> None:
        """The worker ends: what it has is given back with it."""
        if self._places is not None:
            self._places.close()
            self._places = None

    def _row(self, target: Target) -> int | None:
        return None if self._places is None else self._places.row(_where(target))


def _where(target: Target) -> str:
    """Two models of one provider are two targets (`id/model`), and share its capacity."""
    return target.id.partition("/")[0]

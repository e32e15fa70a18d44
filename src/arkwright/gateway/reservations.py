"""A worker's door to reserved throughput: may a request run on it, decided before its money is thought of.

Law: a request is taken whole or not at all, and what was counted is corrected exactly once, when it is over. Never more
than was counted is covered, whatever an upstream uses.
"""

from typing import NamedTuple

from arkwright.basics.errors import LimitExceeded
from arkwright.domain import lots as rules
from arkwright.domain.limits import share
from arkwright.domain.lots import Lengths, Lot
from arkwright.domain.pricing import ChargeLine
from arkwright.domain.reservations import Reservation
from arkwright.host.limit_words import Line
from arkwright.host.permits import Group, Permit, Permits, Refusal
from arkwright.wire import openai_limits


class Taken(NamedTuple):
    """The tokens of a reservation that a request has, at most."""

    reservation: Reservation
    permits: Permits
    read: Permit
    written: Permit
    most: Lengths

    def cover(self, lines: tuple[ChargeLine, ...]) -> tuple[ChargeLine, ...]:
        """It is over: these lines with what the reservation covers at no price, which is what it counts."""
        sides = self.reservation.as_lots()
        covered = rules.covered(lines, sides, lambda side, wanted: min(wanted, self._most(side))).lines
        for side, permit in zip(sides, (self.read, self.written), strict=True):
            used = sum(line.quantity for line in covered if line.lot == side.id and line.item in side.items)
            self.permits.settle(permit, tokens=used)
        return covered

    def _most(self, side: Lot) -> int:
        return self.most.input_tokens if side.row == self.reservation.input_row else self.most.output_tokens

    def release(self) -> None:
        self.permits.give_back(self.read)
        self.permits.give_back(self.written)


class Reservations:
    """Of one state: made anew with each snapshot."""

    def __init__(self, permits: Permits, hosts: int) -> None:
        self._permits = permits
        self._hosts = hosts
        self._groups: dict[str, tuple[Group, Group]] = {}

    def take(self, lease_row: int, usable: tuple[Reservation, ...], most: Lengths) -> Taken | LimitExceeded | None:
        """The first that has room for all of it; an error where one says so and none has room; else None."""
        error = None
        for reservation in usable:
            taken = self._take(lease_row, reservation, most)
            if isinstance(taken, Taken):
                return taken
            if reservation.overflow == "reject":
                error = error or _refused(reservation, taken, most, self._hosts)
        return error

    def _take(self, lease_row: int, reservation: Reservation, most: Lengths) -> Taken | int | None:
        """Or how long until there may be room, in milliseconds; None: it is too long ever to have some."""
        caps = _caps(reservation, self._hosts)
        if most.input_tokens > caps.input_tokens or most.output_tokens > caps.output_tokens:
            return None
        groups = self._groups.get(reservation.id)
        if groups is None:
            groups = self._groups[reservation.id] = (
                self._permits.group(lease_row, (Line(reservation.input_row, tokens=caps.input_tokens),)),
                self._permits.group(lease_row, (Line(reservation.output_row, tokens=caps.output_tokens),)),
            )
        read = self._permits.take(groups[0], tokens=most.input_tokens)
        if isinstance(read, Refusal):
            return read.retry_after_ms
        written = self._permits.take(groups[1], tokens=most.output_tokens)
        if isinstance(written, Refusal):
            self._permits.give_back(read)
            return written.retry_after_ms
        return Taken(reservation, self._permits, read, written, most)


def _caps(reservation: Reservation, hosts: int) -> Lengths:
    """What this host covers of it in a minute."""
    return Lengths(
        share(reservation.input_tokens_per_minute, hosts), share(reservation.output_tokens_per_minute, hosts)
    )


def _refused(reservation: Reservation, wait_ms: int | None, most: Lengths, hosts: int) -> LimitExceeded:
    caps = _caps(reservation, hosts)
    said = (
        f"The reserved throughput of `{reservation.model}` ({caps.input_tokens} input and {caps.output_tokens} output "
        f"tokens per min) can't take this request, of up to {most.input_tokens} input and {most.output_tokens} output "
        "tokens. "
    )
    if wait_ms is None:
        said += "It would never fit: ask for less (max_tokens), or reserve more."
        return LimitExceeded(said, code="reservation_exceeded", kind="tokens")
    said += f"Please try again in {openai_limits.duration(wait_ms)}."
    return LimitExceeded(said, code="reservation_exceeded", kind="tokens", retry_after_ms=wait_ms)

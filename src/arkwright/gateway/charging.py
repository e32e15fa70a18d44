"""Usage becomes a charge, and the charge becomes a durable record before the client has its last byte.

Law: each admitted request ends in exactly one `Settled` or one `Voided`; its hold is returned in the same step. Nothing
here rounds, guesses or forgives: what could not be collected is written down as such.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from arkwright.basics.clock import now_us
from arkwright.basics.errors import Unavailable
from arkwright.domain import journal as records
from arkwright.domain.catalog import Target
from arkwright.domain.lots import Covered
from arkwright.domain.metering import ONLINE, THINKING, Finish, Usage, UsageSource
from arkwright.domain.pricing import rate, total
from arkwright.gateway.admission import Admitted
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.lots import NO_COVER, Lots
from arkwright.host.leases import Slot
from arkwright.host.native_permits import open_permits
from arkwright.store.journal import Writer
from arkwright.store.journal_reader import Position
from arkwright.wire.openai_usage import Counts

if TYPE_CHECKING:
    from arkwright.gateway.journeys import Journeys
    from arkwright.gateway.worker import Ask


class Served(NamedTuple):
    """How a request was answered, apart from what it used."""

    endpoint: str
    target: Target
    streamed: bool
    status: int
    finish: Finish
    ttft_us: int | None
    upstream_request_id: str
    attempts: tuple[records.Attempt, ...] = ()  # Those that failed before.
    connect_us: int = 0


class Failed(NamedTuple):
    """How a request ended that costs the customer nothing."""

    status: int
    code: str
    reason: str
    target: str = ""  # Where it was when it failed.
    attempts: tuple[records.Attempt, ...] = ()  # All that was tried.


HUNG_UP = "client_hung_up"  # The code of what no client was there to be told.


class Metered(msgspec.Struct, frozen=True):
    """What it used, and who says so."""

    usage: Usage
    source: UsageSource


def exact(counts: Counts, source: UsageSource) -> Metered:
    return Metered(
        Usage(
            counts.input_tokens,
            counts.cached_input_tokens,
            counts.cache_write_tokens,
            counts.output_tokens,
            counts.reasoning_tokens,
        ),
        source,
    )


def counts_of(usage: Usage) -> Counts:
    """The other way round, for the usage object of an answer that ends before its upstream would tell it."""
    return Counts(
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    )


def estimated(input_bytes: int, output_tokens: int) -> Metered:
    """Where an upstream tells no usage: four bytes a token is the trade's rule of thumb, and flagged as a guess."""
    return Metered(Usage(input_tokens=-(-input_bytes // 4), output_tokens=output_tokens), "estimated")


def unrecorded() -> Unavailable:
    """What a client is told while nothing can be written down."""
    return Unavailable(
        "Requests can't be recorded right now, so none is served. The operator has been told.",
        code="journal_unavailable",
        retry_after_s=5,
    )


class Charging:
    """The one door from a worker's requests to its journal and its lease words."""

    def __init__(self, journal: Writer | None, slot: Slot, lots: Lots | None = None) -> None:
        self._journal = journal
        self.permits = open_permits(slot)
        self.lots = lots
        self.journeys: Journeys | None = None  # Who wants to hear of each request, if anybody does.

    @property
    def journal(self) -> Writer | None:
        """For whoever writes records of its own making."""
        return self._journal

    @property
    def works(self) -> bool:
        """False when nothing can be written down, so that nothing may be served."""
        return self._journal is not None and self._journal.failed is None

    def place(self) -> tuple[str, Position]:
        """Whose journal a charge will stand in, and after what. Raises Unavailable when nothing can be written."""
        if self._journal is None or not self.works:
            raise unrecorded()
        return self._journal.incarnation, Position(*self._journal.place)

    def intend(self, admitted: Admitted, exchange: Exchange) -> None:
        """Write down what is about to be sent. Raises Unavailable, and returns the hold, when it can't be written."""
        journal = self._journal
        if journal is None or journal.failed is not None:
            self.release(admitted)
            raise unrecorded()
        principal, terms = admitted.principal, admitted.terms
        intent = records.Intent(
            exchange.event_id,
            terms.at_us,
            principal.organization.id,
            principal.key.id,
            admitted.model.name,
            admitted.permit.hold_pico,
            terms.price.currency,
        )
        journal.append(records.encode(intent))
        if self.journeys is not None:
            self.journeys.admitted(admitted, exchange)

    def settle(
        self,
        admitted: Admitted,
        exchange: Exchange,
        served: Served,
        metered: Metered,
        on_durable: Callable[[], None] | None = None,
    ) -> int:
        """Charge a request; `on_durable` runs once the record is on disk. Returns the amount in pico."""
        usage, terms = metered.usage, admitted.terms
        # Whether a model thought is known by what it says; a book may price its answers apart.
        circumstances = admitted.circumstances
        if usage.reasoning_tokens:
            plain = circumstances is ONLINE
            circumstances = THINKING if plain else msgspec.structs.replace(circumstances, thinking=True)
        charge = Covered(rate(terms, usage, circumstances))
        if self.lots is not None and admitted.cover is not NO_COVER:
            charge = self.lots.draw(admitted.cover, charge.lines)
        amount = total(charge.lines)
        uncollected = self._collect(admitted, amount - charge.granted_pico, usage)
        key, organization, target = admitted.principal.key, admitted.principal.organization, served.target
        # In the order of the fields: by their names the record would take ten times as long.
        record = records.Settled(
            exchange.event_id, terms.at_us, now_us(),
            organization.id, organization.class_, organization.industry, organization.billing == "prepaid",
            key.project_id, key.id, served.endpoint, admitted.model.name,
            target.name, target.upstream_model, served.upstream_request_id,
            served.streamed, served.status, served.finish, served.ttft_us,
            usage, metered.source,
            terms.price.currency, terms.price.id, charge.lines, amount, uncollected,
            circumstances, charge.granted_pico, charge.draws, served.attempts, exchange.queue_us, admitted.endpoint_id,
            served.connect_us,
        )  # fmt: skip
        assert self._journal is not None, "settled without an intent"
        if self.journeys is not None:
            self.journeys.settled(exchange, served, usage)
        self._journal.append(records.encode(record), on_durable)
        return amount

    def void(self, admitted: Admitted, ask: "Ask", failed: Failed) -> None:
        """End a request that costs the customer nothing."""
        self.release(admitted)
        self.record_void(admitted, ask, failed)

    def record_void(self, admitted: Admitted, ask: "Ask", failed: Failed) -> None:
        """The same for a request whose hold was given back already."""
        exchange, attempts = ask.exchange, failed.attempts
        # What may have cost the operator something is for the cost side, too.
        dear = any(attempt.unknown or attempt.usage != Usage() for attempt in attempts)
        if self.journeys is not None:
            self.journeys.voided(exchange, failed.status, failed.target, attempts if dear else ())
        assert self._journal is not None, "voided without an intent"
        if self._journal.failed is None:
            key, organization = admitted.principal.key, admitted.principal.organization
            asked = records.Asked(
                admitted.terms.at_us, key.project_id, key.id, ask.endpoint, admitted.endpoint_id, ask.streamed,
                exchange.queue_us,
            )  # fmt: skip
            voided = records.Voided(
                exchange.event_id, now_us(), organization.id, failed.status, failed.reason[:500], admitted.model.name,
                failed.target, attempts if dear else (), False, asked, failed.code[:100], () if dear else attempts,
            )  # fmt: skip
            self._journal.append(records.encode(voided))

    def note_copy(self, admitted: Admitted, event_id: bytes, attempt: records.Attempt) -> None:
        """Write down what a copy of an admitted request cost. It is charged nowhere."""
        if self._journal is not None and self._journal.failed is None:
            organization_id, model = admitted.principal.organization.id, admitted.model.name
            copied = records.Voided(
                event_id, now_us(), organization_id, attempt.status, "mirrored", model, attempt.target, (attempt,), True
            )
            self._journal.append(records.encode(copied))

    def _collect(self, admitted: Admitted, amount_pico: int, usage: Usage) -> int:
        """Close the permit; returns what the payer's money does not cover.

        Usage goes beyond what is held only when an upstream breaks its word; a balance never goes below zero.
        """
        asked_pico = 0 if admitted.principal.organization.free_only else amount_pico
        tokens = usage.all_input_tokens + usage.all_output_tokens
        return amount_pico - self.permits.settle(admitted.permit, amount_pico=asked_pico, tokens=tokens)

    def release(self, admitted: Admitted) -> None:
        """Give back what is held. It is on the caller that the request ends, or is admitted again."""
        self.permits.give_back(admitted.permit)
        if self.lots is not None:
            self.lots.release(admitted.cover)

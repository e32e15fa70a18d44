"""Trials of prices that run or have run, in this process: the work behind `control/price_trials.py`.

A customer whose requests of the period were all plain is rated from the sums of its roll-ups, which is exact for a
price without conditions; every other one charge by charge, as rerating does it.
Law: nothing is changed, anywhere; so what is lost when this process ends is asked for again. No trial keeps others
from their turns: few run at once, each looks at a bounded number of charges, and rates them beside the loop.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import msgspec
import structlog

from arkwright.basics.errors import ArkwrightError, Conflict, InvalidInput
from arkwright.basics.ids import new_id
from arkwright.domain.pricing import KINDS, PriceVersion, Terms, Unpriced, rate, total
from arkwright.domain.rerating import rerated
from arkwright.reports.report import Span
from arkwright.store import price_trials, rerating, tenancy
from arkwright.store.database import Connection, Database
from arkwright.store.price_trials import Used
from arkwright.store.rerating import Scope, Standing

CHARGES_MAX = 2_000_000  # That one trial looks at, one by one; at twenty thousand a second that is two minutes.
KEPT = 32
RUNNING_MAX = 2
_PAGE = 250
_log = structlog.get_logger("price_trials")

State = Literal["running", "done", "failed"]


class Part(msgspec.Struct, frozen=True):
    """One customer's requests of one model: as they stand, and as they would."""

    organization_id: str
    name: str
    requests: int
    before_pico: int
    after_pico: int
    by_charges: bool  # Rated one by one.


class Run(msgspec.Struct, kw_only=True):
    """`requests_done` of `requests` have been rated; `charges` of them one by one."""

    id: str
    actor: str
    drafts: tuple[PriceVersion, ...]
    span: Span
    organization_id: str | None
    started_at: datetime
    state: State = "running"
    ended_at: datetime | None = None
    requests: int = 0
    requests_done: int = 0
    charges: int = 0
    error: str = ""
    parts: dict[str, list[Part]] = {}  # By draft.


class _Piece(NamedTuple):
    draft: PriceVersion
    used: Used
    after_pico: int | None  # None: the roll-up does not tell.


class Runs:
    """One a control process. The newest trials are kept, whether they run or have ended."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._runs: dict[str, Run] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, actor: str, drafts: Sequence[PriceVersion], span: Span, organization_id: str | None) -> Run:
        """Raises Conflict while as many run as may."""
        if len(self._tasks) >= RUNNING_MAX:
            raise Conflict(f"{RUNNING_MAX} trials run already; wait until one has ended")
        run = Run(
            id=new_id("trial"),
            actor=actor,
            drafts=tuple(drafts),
            span=span,
            organization_id=organization_id,
            started_at=datetime.now(UTC),
        )
        self._runs[run.id] = run
        for old in [run for run in self._runs.values() if run.state != "running"][: max(0, len(self._runs) - KEPT)]:
            del self._runs[old.id]
        task = self._tasks[run.id] = asyncio.create_task(self._work(run))
        task.add_done_callback(lambda _: self._tasks.pop(run.id, None))
        return run

    def get(self, id: str) -> Run | None:
        return self._runs.get(id)

    def newest_first(self) -> list[Run]:
        return list(reversed(self._runs.values()))

    async def ended(self, run: Run) -> None:
        """Wait until it has."""
        task = self._tasks.get(run.id)
        if task is not None:
            await asyncio.wait({task})

    async def _work(self, run: Run) -> None:
        try:
            async with self._database.snapshot() as connection:
                await _try(connection, run)
            run.state = "done"
        except ArkwrightError as error:
            run.state, run.error = "failed", error.message
        except Exception as error:  # broad: job. A trial that breaks is told of, and breaks nothing else.
            run.state, run.error = "failed", "the trial broke off; see the log of control"
            _log.error("a trial failed", trial=run.id, reason=str(error), exc_info=True)
        finally:
            run.ended_at = datetime.now(UTC)


async def _try(connection: Connection, run: Run) -> None:
    pieces = [
        _Piece(draft, used, _by_sums(draft, used))
        for draft in run.drafts
        for used in await price_trials.rolled_up(
            connection, draft.model, draft.currency, run.span.since, run.span.until, run.organization_id
        )
    ]
    run.requests = sum(piece.used.requests for piece in pieces)
    asked = sum(piece.used.requests for piece in pieces if piece.after_pico is None)
    if asked > CHARGES_MAX:
        raise InvalidInput(
            f"{asked} requests of {run.span.name} have to be looked at one by one, and a trial looks at {CHARGES_MAX}"
            " at most: choose a shorter period, or one customer",
            param="period",
        )
    names = await tenancy.organization_names(connection, [piece.used.organization_id for piece in pieces])
    for piece in pieces:
        used, after_pico, before_pico = piece.used, piece.after_pico, piece.used.amount_pico
        if after_pico is None:
            before_pico, after_pico = await _by_charges(connection, run, piece)
        else:
            run.requests_done += used.requests
        run.parts.setdefault(piece.draft.id, []).append(
            Part(
                used.organization_id,
                names.get(used.organization_id, used.organization_id),
                used.requests,
                before_pico,
                after_pico,
                piece.after_pico is None,
            )
        )


def _by_sums(draft: PriceVersion, used: Used) -> int | None:
    """What the sums come to; None where the draft asks more of a request than they tell.

    Without conditions a line is linear in its count, so the line of a sum is the sum of the lines.
    """
    asked = [item for item, kind in KINDS.items() if getattr(used.usage, kind.counts)]
    if not used.plain or any(item not in draft.unconditional for item in asked):
        return None
    return total(rate(Terms(draft, 0), used.usage))


async def _by_charges(connection: Connection, run: Run, piece: _Piece) -> tuple[int, int]:
    scope = Scope(piece.used.organization_id, piece.draft.model, run.span.since, run.span.until)
    before_pico = after_pico = 0
    last: Standing | None = None
    while standings := await rerating.page(connection, scope, last, _PAGE):
        mine = [one for one in standings if one.charge.currency == piece.draft.currency]
        before, after = await asyncio.to_thread(_rated, piece.draft, mine)
        before_pico, after_pico = before_pico + before, after_pico + after
        run.requests_done += len(mine)
        run.charges += len(mine)
        last = standings[-1]
    return before_pico, after_pico


def _rated(draft: PriceVersion, standings: Sequence[Standing]) -> tuple[int, int]:
    """As they stand, and as they would by the draft. Raises InvalidInput for a use that it has no price for."""
    before_pico = after_pico = 0
    for standing in standings:
        before_pico += standing.now.amount_pico
        try:
            after_pico += rerated(standing.charge, draft).target.amount_pico
        except Unpriced as error:
            raise InvalidInput(f"event {standing.charge.event_id}: {error}", param="drafts") from None
    return before_pico, after_pico

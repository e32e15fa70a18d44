"""Lanes for the pump: which requests it may carry whole, and what becomes of one that it can't carry to its end.

A lane is made for a caller, a model and a target between which nothing but lengths and counts differs from one request
to the next: one target, which can't be stopped; a flat price without discount, hours or lots; nobody who wants to see
each request (an access log, a trace). Made at the first request of its kind, dropped with the snapshot.

Law: a lane decides nothing that `gateway.admission` would decide otherwise; where a policy is added there, its
exception is added to `_plain`. What is taken over goes on where it stands: nothing is sent, held or counted twice.
"""

import os
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from arkwright.basics.clock import now_us
from arkwright.basics.errors import ArkwrightError
from arkwright.domain import journal as records
from arkwright.domain.catalog import Target
from arkwright.domain.metering import Usage
from arkwright.domain.pricing import ChargeLine, PriceVersion, Terms, Unpriced, rate
from arkwright.gateway import pump, scopes
from arkwright.gateway.admission import Admitted, Principal, Wanted, principal_of
from arkwright.gateway.connection import DRAIN_IDLE_S, Connection
from arkwright.gateway.endpoints import chat
from arkwright.gateway.exchange import JSON, Exchange, beginning
from arkwright.gateway.forward import Forward
from arkwright.gateway.metrics import LATENCY_US
from arkwright.gateway.pump import Clients, Gap, Journal, Lane, Lanes, Record
from arkwright.gateway.routes import Route, resolve
from arkwright.gateway.tariffs import Tariff
from arkwright.host.native_permits import NativelyToo, QuickPermits
from arkwright.host.permits import Permit
from arkwright.wire.openai_request import raw

if TYPE_CHECKING:
    from arkwright.gateway.upstream import UpstreamConnection
    from arkwright.gateway.worker import Worker

# The fields of a plain request, as `_requests` reads them: a target that refuses one gets none of them unlooked at.
PLAIN_FIELDS = frozenset(
    ("model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stream", "frequency_penalty",
     "presence_penalty", "user", "seed")
)  # fmt: skip
_ITEMS = ("input_tokens", "cached_input_tokens", "output_tokens")
_FOREVER_US = 1 << 62
# So dear a token, and so many of them, and a machine word would not hold what they cost: that is left to Python.
PICO_MAX = 10**10
TOKENS_MAX = 10**8


def listen(worker: "Worker", listener: socket.socket, protocol: Callable[[], Connection]) -> pump.Listener | None:
    """Have the worker's pump take connections in; None where it has none. `protocol`: speaks with one client."""
    if worker.pump is None:
        return None
    if worker.lanes is None:  # Of every socket that the worker listens at: its own, and those of siblings.
        worker.lanes = Policy(worker, protocol)
        worker.clients = worker.lanes.clients()
    return pump.listen(worker.pump, listener, protocol, worker.clients)


class Passage(NamedTuple):
    """What a lane was made of, for whoever takes one of its requests over."""

    principal: Principal
    route: Route
    target: Target
    tariff: Tariff
    price: PriceVersion


class Policy:
    """What the pump's clients ask of Python. One a worker that has a pump, a native journal and native permits."""

    def __init__(self, worker: "Worker", protocol: Callable[[], Connection]) -> None:
        """`protocol`: makes what reads everything that is not plain."""
        self._worker = worker
        self.protocol = protocol
        self._made: list[Lane] = []
        self._former: list[Lane] = []  # What is under way along them is still to be counted.
        self.carried = 0  # Requests, as far as they were counted.
        self._moves = 0  # Of the fleet, as last seen.
        self.lanes = Lanes(self, LATENCY_US)

    def clients(self) -> Clients | None:
        """The door for the pump's listener; None where journal or permits are not native."""
        worker = self._worker
        journal, permits = worker.charging.journal, worker.charging.permits
        if worker.pump is None or not isinstance(journal, Journal) or not isinstance(permits, QuickPermits):
            return None
        beginnings = (beginning(200, JSON, True, True), beginning(200, JSON, True, False))
        return Clients(
            worker.pump, journal, permits.native, self.lanes, self, worker.settings, DRAIN_IDLE_S, beginnings
        )

    def forget(self) -> None:
        """Something that lanes are made of has changed."""
        self.count()
        self._former, self._made = self._made, []
        self.lanes.forget()

    def sweep(self) -> None:
        """Make lanes anew when a target went down or came back; called a few times a second."""
        if self._moves != self._worker.fleet.moves:
            self._moves = self._worker.fleet.moves
            self.forget()

    # What the pump asks

    def give_back(self, permit: Permit) -> None:
        """What was admitted, and could not be written down."""
        self._worker.charging.permits.give_back(permit)

    def knows(self, authorization: bytes) -> bool:
        """Whether it is a caller's, who may ask for something."""
        try:
            principal_of(self._worker.state, authorization)
        except ArkwrightError:
            return False
        return True

    def lane(self, authorization: bytes, called: bytes) -> Lane | None:
        """None where a request has to be looked at in Python, whatever the reason."""
        try:
            principal = principal_of(self._worker.state, authorization)
            scopes.check(principal.key, scopes.CHAT)
            route = resolve(self._worker.state, principal, called.decode(), "chat")
            return self._lane(principal, route, authorization, called)
        except (ArkwrightError, UnicodeDecodeError):  # It is told in words by who finds it again.
            return None

    def _lane(self, principal: Principal, route: Route, authorization: bytes, called: bytes) -> Lane | None:
        worker, at_us = self._worker, now_us()
        if not worker.ready or worker.watched or not route.plain or len(route.targets) != 1:
            return None
        target, model = route.targets[0], route.model
        tariff = worker.admission.tariff(Wanted(principal, model, chat.ENDPOINT, 0, 0, False))
        terms = tariff.terms(at_us)
        hold_pico, group = tariff.flat(terms), tariff.coverage.group
        if (
            hold_pico is None
            or max(*hold_pico, *(rule.pico_per_unit for rule in terms.price.rules)) > PICO_MAX
            or model.context_tokens > TOKENS_MAX
            or not worker.fleet.well(target)
            or not isinstance(group, NativelyToo)
            or not _plain(target, model.targets)
            or any(rule.conditions for rule in terms.price.rules)
        ):
            return None
        pool, head = worker.upstream(target, "/chat/completions")
        assert pool.resting is not None, "the pump carries it"
        prices = tuple(_unit_price(terms, item) for item in _ITEMS)
        since_us, until_us = tariff.valid_us
        made = Lane(
            policy=Passage(principal, route, target, tariff, terms.price),
            authorization=authorization,
            called=called,
            upstream_model=None if target.upstream_model == model.name else bytes(raw(target.upstream_model))[1:-1],
            head=head,
            resting=pool.resting,
            group=group.native,
            python_group=group,
            prepaid=principal.organization.billing == "prepaid",
            context_tokens=model.context_tokens,
            output_tokens_default=model.max_output_tokens or model.context_tokens,
            tokens_around=chat.TEMPLATE_TOKENS,
            tokens_per_message=chat.TEMPLATE_TOKENS_PER_MESSAGE + len(b"null"),  # Of the tool calls it has not.
            hold_pico=hold_pico,
            prices_pico=prices,
            from_us=since_us,
            until_us=min(until_us, principal.key.expires_at_us or _FOREVER_US),
            intent=_intent(principal, route, terms),
            settled=_settled(principal, route, target, terms),
            lines=[_line(terms, item) for item in _ITEMS],
        )
        self._made.append(made)
        return made

    def take_over(
        self,
        connection: Connection,
        passage: Passage,
        request: bytes,
        event_id: bytes,
        permit: Permit,
        began: float,
        upstream: "UpstreamConnection",
        answered: bytes,
    ) -> None:
        """Go on with a request that is at its upstream; `answered`: what came of its answer so far."""

        def resume(exchange: Exchange) -> None:
            exchange.event_id, exchange.started_at = event_id, began
            ask = chat.ask(self._worker.state, exchange, passage.principal, passage.route)
            terms = Terms(passage.price, permit.at_us)
            admitted = Admitted(passage.principal, passage.route.model, terms, permit, None)
            exchange.limits = self._worker.admission.header_lines(admitted)
            Forward(self._worker, ask, admitted).resume(passage.target, upstream, answered, began)

        connection.read_for(resume, request)

    # What is counted

    def count(self) -> None:
        """Bring what lanes have served to the worker's metrics."""
        worker = self._worker
        for lane in (*self._former, *self._made):
            served, tokens, ttft_us, ttfts, duration_us, durations = lane.drain()
            if not served:
                continue
            self.carried += served
            passage: Passage = lane.policy
            told = worker.metrics.passage(passage.route.model.name, passage.target)
            ended = (chat.ENDPOINT, "completed")
            told.finishes[ended] = told.finishes.get(ended, 0) + served
            for item, count in enumerate(tokens):
                told.tokens[item] += count
            told.ttft.add(ttfts, ttft_us)
            told.duration.add(durations, duration_us)
            worker.metrics.answered(200, served)
            worker.fleet.carried(passage.target, ttft_us // served)


def _plain(target: Target, all_: tuple[Target, ...]) -> bool:
    """Whether the pump may send to it: not in secret over TLS, not counted, not stopped, not asked for streams."""
    traits = target.traits
    return (
        target.base_url.startswith("http://")
        and traits.on_disconnect == "drain"
        and traits.counts_choices
        and traits.progress == "none"
        and not target.capacity
        and not PLAIN_FIELDS.intersection(traits.refuses)
        and all_ == (target,)
    )


def _unit_price(terms: Terms, item: str) -> int | None:
    """None for what has no price: Python then says so."""
    try:
        lines = rate(terms, Usage(**{item: 1}))
    except Unpriced:
        return None
    return lines[0].pico_per_unit


# Records with gaps: Python encodes one whose values are found again, and cuts them out.


def _cut(record: bytes, holes: Mapping[Gap, bytes]) -> Record:
    found = sorted((record.index(value), len(value), gap) for gap, value in holes.items())
    assert all(record.count(value) == 1 for value in holes.values()), "a value stands twice in a record"
    pairs, at = [], 0
    for start, length, gap in found:
        pairs.append((record[at:start], gap))
        at = start + length
    return Record([*pairs, (record[at:], Gap.END)])


class _Marks:
    """Values that stand nowhere else."""

    def __init__(self) -> None:
        self.event_id = os.urandom(16)
        self.text = os.urandom(12).hex()
        self._next = int.from_bytes(os.urandom(6), "big") << 12

    def number(self) -> int:
        self._next += 1
        return self._next


def _packed(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


def _intent(principal: Principal, route: Route, terms: Terms) -> Record:
    marks = _Marks()
    at_us, hold_pico = marks.number(), marks.number()
    intent = records.Intent(
        marks.event_id,
        at_us,
        principal.organization.id,
        principal.key.id,
        route.model.name,
        hold_pico,
        terms.price.currency,
    )
    return _cut(
        records.encode(intent),
        {
            Gap.EVENT_ID: _packed(marks.event_id),
            Gap.STARTED_US: _packed(at_us),
            Gap.HOLD_PICO: _packed(hold_pico),
        },
    )


def _settled(principal: Principal, route: Route, target: Target, terms: Terms) -> Record:
    marks = _Marks()
    started_us, ended_us, ttft_us, amount_pico, tokens = (marks.number() for _ in range(5))
    key, organization = principal.key, principal.organization
    usage, lines = Usage(tokens), (ChargeLine("input", marks.number(), 0, 0, 0),)
    settled = records.Settled(
        event_id=marks.event_id,
        started_us=started_us,
        ended_us=ended_us,
        organization_id=organization.id,
        organization_class=organization.class_,
        industry=organization.industry,
        prepaid=organization.billing == "prepaid",
        project_id=key.project_id,
        key_id=key.id,
        endpoint=chat.ENDPOINT,
        model=route.model.name,
        target=target.name,
        upstream_model=target.upstream_model,
        upstream_request_id=marks.text,
        streamed=False,
        status=200,
        finish="completed",
        ttft_us=ttft_us,
        usage=usage,
        usage_source=target.traits.usage_source,
        currency=terms.price.currency,
        price_version=terms.price.id,
        lines=lines,
        amount_pico=amount_pico,
    )
    return _cut(
        records.encode(settled),
        {
            Gap.EVENT_ID: _packed(marks.event_id),
            Gap.STARTED_US: _packed(started_us),
            Gap.ENDED_US: _packed(ended_us),
            Gap.UPSTREAM_REQUEST_ID: _packed(marks.text),
            Gap.TTFT_US: _packed(ttft_us),
            Gap.USAGE: _packed(usage),
            Gap.LINES: _packed(lines),
            Gap.AMOUNT_PICO: _packed(amount_pico),
        },
    )


def _line(terms: Terms, item: str) -> Record:
    """The line of an item without its quantity and amount; an item without a price has none, and never needs it."""
    marks = _Marks()
    quantity, amount_pico = marks.number(), marks.number()
    try:
        line = rate(terms, Usage(**{item: 1}))[0]
    except Unpriced:
        return Record([(b"", Gap.END)])
    line = msgspec.structs.replace(line, quantity=quantity, amount_pico=amount_pico)
    return _cut(_packed(line), {Gap.QUANTITY: _packed(quantity), Gap.AMOUNT_PICO: _packed(amount_pico)})

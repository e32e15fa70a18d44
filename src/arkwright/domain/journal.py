"""What a gateway worker writes down: the payloads of journal records.

Law: a `Settled` is the only thing that makes a charge; it repeats everything a bill, an audit or a league table needs,
so that the ledger can be derived from the journal alone. Fields are only ever added at the end.
"""

from typing import Literal

import msgspec

from arkwright.domain.metering import ONLINE, Circumstances, Finish, Usage, UsageSource
from arkwright.domain.pricing import ChargeLine
from arkwright.domain.tenancy import OrganizationClass


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """First record of every segment: whose journal this is."""

    incarnation: str
    host: str
    slot: int
    segment: int
    at_us: int
    schema: int = 1


class Intent(msgspec.Struct, frozen=True, tag="intent"):
    """Admitted and about to be sent upstream; evidence of what was in flight, should the worker die."""

    event_id: bytes
    at_us: int
    organization_id: str
    key_id: str
    model: str
    hold_pico: int
    currency: str


class Draw(msgspec.Struct, frozen=True):
    """What was taken of a lot: units of a pack or a free grant, pico of a credit."""

    lot: str
    units: int


# What became of a try at an upstream:
#   served       it answered, or gave the last part of the answer
#   continued    it broke off in the middle of its answer, and another went on with it
#   outrun       another one, asked at the same time, was quicker
#   refused      it answered with an error;  unreachable  it never saw the request;  timed_out  it was silent too long
#   broken       it broke off, or sent what is no answer
#   cancelled    the client hung up
#   failed       as older journals have it
Outcome = Literal[
    "failed", "served", "continued", "outrun", "refused", "unreachable", "timed_out", "broken", "cancelled"
]


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """A try at an upstream; it may cost the operator money whatever became of it.

    No usage, and not `unknown`: it did not arrive, or was refused, which no upstream bills. `unknown`: it arrived and
    broke off, and nobody said what it used. Where there was more than one try, the one that served stands among them
    with what it used itself.
    """

    target: str
    upstream_model: str
    started_us: int
    ended_us: int
    status: int  # The upstream's; 0: it never answered.
    usage: Usage = Usage()
    unknown: bool = False
    outcome: Outcome = "failed"
    ttft_us: int | None = None  # From its start to the first token.
    connect_us: int = 0  # Of it, until there was a connection; 0 over one that was open.


class Settled(msgspec.Struct, frozen=True, omit_defaults=True, tag="settled"):
    """Answered, counted and priced. `amount_pico` = Σ lines, of which the payer's money covers what is left after
    `granted_pico` (paid by lots of credit) and `uncollected_pico` (the part no balance covered).
    """

    event_id: bytes
    started_us: int
    ended_us: int
    organization_id: str
    organization_class: OrganizationClass
    industry: str
    prepaid: bool
    project_id: str
    key_id: str
    endpoint: str
    model: str
    target: str
    upstream_model: str
    upstream_request_id: str
    streamed: bool
    status: int
    finish: Finish
    ttft_us: int | None
    usage: Usage
    usage_source: UsageSource
    currency: str
    price_version: str
    lines: tuple[ChargeLine, ...]
    amount_pico: int
    uncollected_pico: int = 0
    circumstances: Circumstances = ONLINE
    granted_pico: int = 0
    draws: tuple[Draw, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    queue_us: int = 0  # How long it waited for a target to have room.
    endpoint_id: str = ""  # Of the one that was called, should one have been.
    connect_us: int = 0  # Of the try that served, until it had a connection; 0 over one that was open.


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a request was that came to nothing, for the person who asks why."""

    started_us: int
    project_id: str
    key_id: str
    endpoint: str
    endpoint_id: str = ""
    streamed: bool = False
    queue_us: int = 0


class Voided(msgspec.Struct, frozen=True, omit_defaults=True, tag="voided"):
    """Admitted, but nothing to bill: the hold is released and the request costs nothing."""

    event_id: bytes
    at_us: int
    organization_id: str
    status: int
    reason: str
    model: str = ""
    target: str = ""
    attempts: tuple[Attempt, ...] = ()  # Only where one of them may have cost the operator something.
    mirrored: bool = False  # No request of a customer, but a copy of one for a shadow: an event of its own.
    asked: Asked | None = None  # None: of an older journal, or a copy.
    code: str = ""  # Of the error; `reason` is its message.
    tried: tuple[Attempt, ...] = ()  # Every try, where none cost anything; otherwise `attempts` has them all.


Record = Opened | Intent | Settled | Voided

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    return _encoder.encode(record)


def decode(payload: bytes) -> Record:
    """Raises msgspec.ValidationError or msgspec.DecodeError on anything that is not a record."""
    return _decoder.decode(payload)

"""Requests of every kind, as workers write them down: served, broken off, refused upstream, given up."""

import random
from collections.abc import Sequence

import msgspec

from arkwright.basics.ids import new_event_id
from arkwright.domain import journal as records
from arkwright.domain.metering import Usage
from tests.doubles.money import settled

MODELS = ("small", "large")
TARGETS = ("east", "west")


def at_us(moment_us: int) -> bytes:
    """An event id of that moment."""
    return (moment_us // 1000).to_bytes(6, "big") + new_event_id()[6:]


def served(chance: random.Random, organization_id: str, moment_us: int, **fields: object) -> records.Settled:
    usage = Usage(chance.randrange(1, 900), chance.randrange(90), 0, chance.randrange(1, 300))
    record = settled(
        organization_id, usage, event_id=at_us(moment_us), prepaid=False, started_us=moment_us,
        key_id=f"key_{organization_id}_{chance.randrange(2)}",
    )  # fmt: skip
    made: dict[str, object] = {
        "model": chance.choice(MODELS),
        "target": chance.choice(TARGETS),
        "project_id": f"project_{organization_id}_{chance.randrange(2)}",
        "streamed": chance.random() < 0.7,
        "ttft_us": int(chance.lognormvariate(11.5, 1.2)),
        "ended_us": moment_us + chance.randrange(10_000, 5_000_000),
        "finish": "upstream_error" if chance.random() < 0.1 else "completed",
    }
    return msgspec.structs.replace(record, **(made | fields))


def failed(chance: random.Random, organization_id: str, moment_us: int, **fields: object) -> records.Voided:
    status, code = chance.choice([(503, "model_unavailable"), (400, "invalid_request"), (499, "client_hung_up")])
    target = chance.choice(TARGETS)
    tried = records.Attempt(
        target, "mock", moment_us + 5_000, moment_us + 60_000, 0, outcome="unreachable", connect_us=900
    )
    voided = records.Voided(
        at_us(moment_us), moment_us + 60_000, organization_id, status, "It could not be reached.",
        chance.choice(MODELS), target, code=code, tried=(tried,),
        asked=records.Asked(
            moment_us, f"project_{organization_id}_{chance.randrange(2)}",
            f"key_{organization_id}_{chance.randrange(2)}", "chat.completions", "", chance.random() < 0.5, 5_000,
        ),
    )  # fmt: skip
    return msgspec.structs.replace(voided, **fields)


def mixed(
    chance: random.Random, organization_ids: Sequence[str], since_us: int, until_us: int, count: int
) -> list[records.Settled | records.Voided]:
    """In no order, as workers end them."""
    made: list[records.Settled | records.Voided] = []
    for _ in range(count):
        organization_id, moment_us = chance.choice(organization_ids), chance.randrange(since_us, until_us)
        make = failed if chance.random() < 0.2 else served
        made.append(make(chance, organization_id, moment_us))
    return made

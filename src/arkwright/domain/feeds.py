"""A usage event: one charge as it leaves the platform, for receivers, files and other systems.

Law: it says what the charge says, nothing more and nothing rounded; amounts leave as integers of pico or as decimal
strings, never as floats. The journal's place and the ledger's ids stay inside.
"""

from typing import Any

import msgspec

from arkwright.domain.journal import Draw
from arkwright.domain.metering import Circumstances, Usage
from arkwright.domain.pricing import ChargeLine

TYPE = "maas.usage.v1"


class UsageEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Moments in microseconds since the epoch, UTC; `placed_us`: when the feed took it. Counts are disjoint."""

    event_id: str
    placed_us: int
    organization_id: str
    organization_name: str
    organization_class: str
    industry: str
    prepaid: bool
    project_id: str
    project_name: str
    key_id: str
    endpoint: str
    model: str
    target: str
    upstream_model: str
    upstream_request_id: str
    streamed: bool
    status: int
    finish: str
    started_us: int
    ended_us: int
    ttft_us: int | None
    usage: Usage
    usage_source: str
    circumstances: Circumstances
    currency: str
    price_version: str
    lines: tuple[ChargeLine, ...]
    draws: tuple[Draw, ...]
    amount_pico: int
    granted_pico: int
    uncollected_pico: int


def cloud_event(event: UsageEvent, source: str, time: str) -> dict[str, Any]:
    """CloudEvents 1.0 in JSON: (source, id) is unique for ever, so a receiver that sees it twice counts it once.

    Amounts are strings, since a reader of JSON may take a large number for a float. `time`: RFC 3339.
    """
    data = msgspec.to_builtins(event)
    for name in ("amount_pico", "granted_pico", "uncollected_pico"):
        data[name] = str(data[name])
    data["lines"] = [
        {name: str(value) if name.endswith("_pico") or "pico_per" in name else value for name, value in line.items()}
        for line in data["lines"]
    ]
    return {
        "specversion": "1.0",
        "id": event.event_id,
        "source": source,
        "type": TYPE,
        "subject": event.organization_id,
        "time": time,
        "datacontenttype": "application/json",
        "data": data,
    }

"""A failure: one admitted request that cost its customer nothing, as people look for it.

Law: `failure_of` is the only way from a journal record to a failure. A copy for a shadow is nobody's request, and none.
"""

from typing import Any

import msgspec

from arkwright.domain.journal import Asked, Voided

MESSAGE_MAX = 500
HUNG_UP = 499  # The status of what ended because its client left.


class Failure(msgspec.Struct, frozen=True):
    """The columns of the table, in plain values: the event id in hexadecimal, moments in microseconds."""

    event_id: str
    organization_id: str
    project_id: str
    key_id: str
    endpoint: str
    endpoint_id: str
    model: str
    target: str
    streamed: bool
    status: int
    code: str
    message: str
    started_us: int
    ended_us: int
    queue_us: int
    attempts: list[dict[str, Any]]


def failure_of(voided: Voided) -> Failure | None:
    if voided.mirrored:
        return None
    attempts: list[dict[str, Any]] = msgspec.to_builtins(list(voided.attempts or voided.tried))
    for attempt in attempts:
        for name in ("target", "upstream_model"):
            attempt[name] = _text(attempt[name])
    asked = voided.asked or Asked(voided.at_us, "", "", "")
    return Failure(
        voided.event_id.hex(),
        voided.organization_id,
        asked.project_id,
        asked.key_id,
        asked.endpoint,
        asked.endpoint_id,
        _text(voided.model),
        _text(voided.target),
        asked.streamed,
        voided.status,
        _text(voided.code),
        _text(voided.reason)[:MESSAGE_MAX],
        asked.started_us,
        voided.at_us,
        asked.queue_us,
        attempts,
    )


def _text(text: str) -> str:
    """PostgreSQL's text has no NUL; what an upstream says may have."""
    return text.replace("\0", "\ufffd")

"""Takes away the answers kept for an Idempotency-Key once they are old, or too many for their room.

Law: nothing here needs the database, and what a worker is at is never taken from it.
"""

import asyncio

import structlog

from arkwright.basics.clock import now_us
from arkwright.basics.settings import Settings
from arkwright.store.answers import AnswerStore

SWEEP_S = 60.0

_log = structlog.get_logger("answers")


async def run(settings: Settings, every_s: float = SWEEP_S) -> None:
    """For ever. Raises OSError when the directory can't be read."""
    retention_us = int(settings.idempotency_retention_s * 1_000_000)
    store = AnswerStore(settings.paths.answers, settings.paths.journal, retention_us=retention_us)
    while True:
        kept = await asyncio.to_thread(store.sweep, now_us(), bytes_max=settings.idempotency_bytes_max)
        if kept.evicted:
            _log.warning("answers were let go before their time: raise idempotency_bytes_max", count=kept.evicted,
                         bytes=kept.bytes)  # fmt: skip
        await asyncio.sleep(every_s)

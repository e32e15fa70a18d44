"""GET /healthz (the process lives), /readyz (it can serve) and /metrics (this worker's counters)."""

import msgspec

from arkwright.basics.errors import Forbidden
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.worker import Worker
from arkwright.wire.prometheus import CONTENT_TYPE


def healthz(worker: Worker, exchange: Exchange) -> None:
    exchange.answer(200, b'{"status":"ok"}')


def readyz(worker: Worker, exchange: Exchange) -> None:
    missing = worker.not_ready()
    exchange.answer(503 if missing else 200, msgspec.json.encode({"ready": not missing, "missing": missing}))


def metrics(worker: Worker, exchange: Exchange) -> None:
    """For scrapers on this machine: what is sold here is nobody else's business."""
    if not exchange.from_this_machine:
        raise Forbidden("/metrics answers only to this machine; scrape it over loopback.")
    exchange.answer(200, worker.render_metrics(), CONTENT_TYPE)

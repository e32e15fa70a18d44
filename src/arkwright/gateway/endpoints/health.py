"""GET /healthz (the process lives), /readyz (it can serve; 503 with what is missing) and /metrics (of this host)."""

from urllib.parse import parse_qs

import msgspec

from arkwright.basics.errors import Forbidden, NotFound
from arkwright.domain.catalog import Target
from arkwright.gateway.admission import authenticate
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.routes import resolve
from arkwright.gateway.worker import Worker
from arkwright.wire.prometheus import CONTENT_TYPE

MODELS_ASKED_MAX = 16


def healthz(worker: Worker, exchange: Exchange) -> None:
    exchange.answer(200, b'{"status":"ok"}')


def readyz(worker: Worker, exchange: Exchange) -> None:
    """`?model=NAME`: whether a replica serves that model, too; for this machine, or with a key that may call it."""
    missing = worker.not_ready()
    names = parse_qs(exchange.query.decode("latin-1")).get("model", ())
    if names and not missing:
        missing = [f"replica of {name}" for name in names[:MODELS_ASKED_MAX] if not _served(worker, exchange, name)]
    exchange.answer(503 if missing else 200, msgspec.json.encode({"ready": not missing, "missing": missing}))


def _served(worker: Worker, exchange: Exchange, name: str) -> bool:
    if exchange.header(b"authorization") is not None:
        return _up(worker, resolve(worker.state, authenticate(worker.state, exchange), name).targets)
    if not exchange.from_this_machine:
        raise Forbidden("/readyz?model= answers to this machine, or to a key that may call the model.")
    model = worker.state.models.get(name)
    if model is None:
        raise NotFound(f"There is no model `{name}`.", code="model_not_found", param="model")
    return _up(worker, model.targets)


def _up(worker: Worker, targets: tuple[Target, ...]) -> bool:
    """Whether one may be asked now: it runs, as far as control knows, and its breaker is not open."""
    return bool(worker.fleet.askable(list(targets)))


def metrics(worker: Worker, exchange: Exchange) -> None:
    """For scrapers on this machine: what is sold here is nobody else's business."""
    if not exchange.from_this_machine:
        raise Forbidden("/metrics answers only to this machine; scrape it over loopback.")
    exchange.answer(200, worker.render_metrics(), CONTENT_TYPE)

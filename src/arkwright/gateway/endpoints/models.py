"""GET /v1/models and /v1/models/{id}: what this key may call."""

from arkwright.basics.clock import MICROSECONDS
from arkwright.domain.catalog import Model
from arkwright.gateway.admission import authenticate
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.routes import resolve, visible_models
from arkwright.gateway.worker import Worker
from arkwright.wire.openai_models import ModelCard, ModelList, render


def index(worker: Worker, exchange: Exchange) -> None:
    principal = authenticate(worker.state, exchange)
    cards = [_card(model) for model in visible_models(worker.state, principal)]
    exchange.answer(200, render(ModelList(cards)))


def show(worker: Worker, exchange: Exchange, name: str) -> None:
    principal = authenticate(worker.state, exchange)
    exchange.answer(200, render(_card(resolve(worker.state, principal, name).model)))


def _card(model: Model) -> ModelCard:
    return ModelCard(model.name, model.created_at_us // MICROSECONDS, model.owned_by, model.context_tokens)

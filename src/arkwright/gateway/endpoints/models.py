"""GET /v1/models and /v1/models/{id}: what this key may call, endpoints (`ep-…`) among it."""

from arkwright.basics.clock import MICROSECONDS
from arkwright.domain.catalog import Model
from arkwright.gateway.admission import authenticate
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.routes import resolve, visible_endpoints, visible_models
from arkwright.gateway.worker import Worker
from arkwright.wire.openai_models import ModelCard, ModelList, render


def index(worker: Worker, exchange: Exchange) -> None:
    principal = authenticate(worker.state, exchange)
    state = worker.state
    cards = [_card(model, model.name, model.created_at_us) for model in visible_models(state, principal)]
    cards += [_card(state.models[one.model], one.id, one.created_at_us) for one in visible_endpoints(state, principal)]
    exchange.answer(200, render(ModelList(cards)))


def show(worker: Worker, exchange: Exchange, name: str) -> None:
    state = worker.state
    model = resolve(state, authenticate(state, exchange), name).model
    made = state.endpoints.get(name, model)
    exchange.answer(200, render(_card(model, name, made.created_at_us)))


def _card(model: Model, called: str, created_at_us: int) -> ModelCard:
    return ModelCard(called, created_at_us // MICROSECONDS, model.owned_by, model.context_tokens)

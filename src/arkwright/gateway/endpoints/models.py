"""GET /v1/models and /v1/models/{id}: what this key may call, endpoints (`ep-…`) among it."""

from urllib.parse import parse_qsl

from arkwright.basics.clock import MICROSECONDS, datetime_from_us
from arkwright.basics.errors import InvalidInput
from arkwright.domain.catalog import Model
from arkwright.gateway.admission import authenticate
from arkwright.gateway.dialects import is_anthropic
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.routes import resolve, visible_endpoints, visible_models
from arkwright.gateway.worker import Worker
from arkwright.wire import anthropic_models
from arkwright.wire.openai_models import ModelCard, ModelList, render

PAGE, PAGE_MAX = 20, 1_000  # Of Anthropic's list; OpenAI's has no pages.


def index(worker: Worker, exchange: Exchange) -> None:
    principal = authenticate(worker.state, exchange)
    state = worker.state
    cards = [_card(model, model.name, model.created_at_us) for model in visible_models(state, principal)]
    cards += [_card(state.models[one.model], one.id, one.created_at_us) for one in visible_endpoints(state, principal)]
    if is_anthropic(exchange):
        asked = dict(parse_qsl(exchange.query.decode("latin-1")))
        after, before = asked.get("after_id", ""), asked.get("before_id", "")
        shown = [_anthropic(card) for card in cards]
        exchange.answer(200, anthropic_models.page(shown, after=after, before=before, limit=_limit(asked.get("limit"))))
    else:
        exchange.answer(200, render(ModelList(cards)))


def show(worker: Worker, exchange: Exchange, name: str) -> None:
    state = worker.state
    model = resolve(state, authenticate(state, exchange), name).model
    made = state.endpoints.get(name, model)
    card = _card(model, name, made.created_at_us)
    exchange.answer(200, anthropic_models.card(_anthropic(card)) if is_anthropic(exchange) else render(card))


def _card(model: Model, called: str, created_at_us: int) -> ModelCard:
    return ModelCard(called, created_at_us // MICROSECONDS, model.owned_by, model.context_tokens)


def _anthropic(card: ModelCard) -> anthropic_models.Card:
    created = datetime_from_us(card.created * MICROSECONDS)
    return anthropic_models.Card(card.id, card.id, created.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= PAGE_MAX:
        raise InvalidInput(f"limit: a page has 1 to {PAGE_MAX} models.", param="limit")
    return int(text)

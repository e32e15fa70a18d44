"""POST /v1/embeddings."""

from arkwright.basics.errors import InvalidInput
from arkwright.domain.catalog import Target
from arkwright.gateway.admission import Principal, authenticate
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.plan import Plan, presenting, refuse
from arkwright.gateway.routes import Route, resolve
from arkwright.gateway.state import State
from arkwright.gateway.worker import Ask, Worker
from arkwright.wire.openai_request import EMBEDDING, Request, raw_name, shapes, texts

INPUTS_MAX = 2048
TOKENS_AROUND_A_TEXT = 2  # Encoders put one mark before and one behind each.

ENDPOINT = "embeddings"
_SHAPES = shapes(EMBEDDING)


def create(worker: Worker, exchange: Exchange) -> None:
    worker.forward(_ask(worker.state, exchange, authenticate(worker.state, exchange)))


def _ask(state: State, exchange: Exchange, principal: Principal, route: Route | None = None) -> Ask:
    """What the body asks for: of the model that it names, or along another route."""
    request = Request(exchange.body, _SHAPES)
    route = route or resolve(state, principal, request.take("model"), "embedding")
    model = route.model
    given = texts(request.take("input"), "input")
    if not all(given):
        raise InvalidInput("None of the texts of 'input' may be empty.", param="input")
    if len(given) > INPUTS_MAX:
        raise InvalidInput(f"'input' has {len(given)} texts; the most taken is {INPUTS_MAX}.", param="input")

    def plan(target: Target) -> Plan:
        refuse(request, target)
        return Plan(
            endpoint=ENDPOINT,
            path="/embeddings",
            streamed=False,
            upstream_streamed=False,
            drop_usage=True,
            bodies=[request.encode(request.fields | {"model": raw_name(target.upstream_model)})],
            choices_per_prompt=1,
            present=presenting(model.name, target.upstream_model),
        )

    size = len(request.fields["input"]) + request.bytes_cut + TOKENS_AROUND_A_TEXT * len(given)
    return Ask(
        exchange,
        principal,
        model,
        route,
        ENDPOINT,
        input_tokens_max=size,
        output_tokens_max=0,
        choices=len(given),
        planner=plan,
        again=_ask,
    )

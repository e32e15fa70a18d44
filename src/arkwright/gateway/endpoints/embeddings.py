"""POST /v1/embeddings."""

from arkwright.basics.errors import InvalidInput
from arkwright.domain.catalog import Target
from arkwright.gateway.admission import authenticate, find_model
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.plan import Plan, presenting, refuse
from arkwright.gateway.worker import Ask, Worker
from arkwright.wire.openai_request import EMBEDDING, Request, encode, raw, shapes, texts

INPUTS_MAX = 2048
TOKENS_AROUND_A_TEXT = 2  # Encoders put one mark before and one behind each.

ENDPOINT = "embeddings"
_SHAPES = shapes(EMBEDDING)


def create(worker: Worker, exchange: Exchange) -> None:
    principal = authenticate(worker.state, exchange)
    request = Request(exchange.body, _SHAPES)
    model = find_model(worker.state, principal, request.take("model"), "embedding")
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
            bodies=[encode(request.fields | {"model": raw(target.upstream_model)})],
            choices_per_prompt=1,
            present=presenting(model.name, target),
        )

    size = len(request.fields["input"]) + TOKENS_AROUND_A_TEXT * len(given)
    worker.forward(
        Ask(
            exchange,
            principal,
            model,
            ENDPOINT,
            input_tokens_max=size,
            output_tokens_max=0,
            choices=len(given),
            planner=plan,
        )
    )

"""POST /v1/chat/completions."""

from collections.abc import Callable

from arkwright.basics.errors import InvalidInput
from arkwright.domain.catalog import Target
from arkwright.domain.queueing import Tier
from arkwright.gateway import images, service_tiers, tools
from arkwright.gateway.admission import Principal, authenticate
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.guards import guarded
from arkwright.gateway.plan import Plan, fields_for, generation, includes_usage
from arkwright.gateway.routes import Route, resolve
from arkwright.gateway.state import State
from arkwright.gateway.worker import Ask, Worker
from arkwright.wire.openai_request import CHAT, Function, Message, Request, encode, shapes

# What chat templates add: marks and a role around each message, at most a default system prompt before them.
TEMPLATE_TOKENS_PER_MESSAGE = 8
TEMPLATE_TOKENS = 32

ENDPOINT = "chat.completions"
_SHAPES = shapes(CHAT)
# Fields that are shown to the model beside its messages, and those that say something about each other.
_SHOWN = frozenset(("tools", "functions", "response_format"))
_TO_BE_CHECKED = frozenset(("tools", "tool_choice", "top_logprobs", "stream_options", "response_format"))


def create(worker: Worker, exchange: Exchange) -> None:
    worker.forward(ask(worker.state, exchange, authenticate(worker.state, exchange)))


def ask(state: State, exchange: Exchange, principal: Principal, route: Route | None = None) -> Ask:
    """What the body asks for: of the model that it names, or along another route."""
    request = Request(exchange.body, _SHAPES)
    route = route or resolve(state, principal, request.take("model"), "chat")
    if route.guards:
        guarded(route, request)
    model = route.model
    asked = request.asked
    shown = images.remote(request)
    functions: list[Function] = []
    if not _TO_BE_CHECKED.isdisjoint(request.fields):
        functions = tools.forced(request)
        _check(request)
    tier = service_tiers.tier(state, principal, model, request)
    choices = asked.n or 1
    limit = asked.max_tokens
    if asked.max_completion_tokens is not None:  # Whichever of the two the upstream heeds.
        limit = max(asked.max_completion_tokens, limit or 0)
    return Ask(
        exchange,
        principal,
        model,
        route,
        ENDPOINT,
        input_tokens_max=_input_tokens_max(request),
        output_tokens_max=limit,
        choices=choices,
        planner=lambda target: _plan(shown, request, functions, target, model.name, tier),
        again=ask,
        service_tier=tier,
        calls=choices,
        streamed=bool(asked.stream),
    )


def _input_tokens_max(request: Request) -> int:
    """Everything the model may be shown, in bytes, and what its template puts around it."""
    messages: list[Message] = request.asked.messages
    shown = TEMPLATE_TOKENS_PER_MESSAGE * len(messages) + TEMPLATE_TOKENS + request.bytes_cut
    for message in messages:
        shown += len(message.content) + len(message.tool_calls)
    for name in _SHOWN.intersection(request.fields):
        shown += len(request.fields[name])
    return shown


def _check(request: Request) -> None:
    if request.take("top_logprobs") is not None and not request.take("logprobs"):
        raise InvalidInput("'top_logprobs' needs 'logprobs' to be true.", param="top_logprobs")
    if request.take("stream_options") is not None and not request.take("stream"):
        raise InvalidInput("'stream_options' is only allowed when 'stream' is true.", param="stream_options")
    wanted = request.take("response_format")
    if wanted is not None and wanted.type == "json_schema" and wanted.json_schema is None:
        raise InvalidInput("Missing required parameter: 'response_format.json_schema'.", param="response_format")


def _plan(
    shown: list[str] | None, request: Request, functions: list[Function], target: Target, model: str, tier: Tier
) -> Plan:
    images.check(shown, target)
    fields = fields_for(request, target)
    reshape = None
    if functions and not target.traits.enforces_tool_choice:
        fields = tools.as_schema(fields, functions)
        reshape = _calling(request, model)
    told = service_tiers.told(request, tier)
    return generation(request, target, fields, endpoint=ENDPOINT, model=model, reshape=reshape, tier=told)


def _calling(request: Request, model: str) -> Callable[[bytes], bytes]:
    """Turns the words of an engine that was held to a schema into tool calls."""

    def present(body: bytes) -> bytes:
        answer = tools.as_calls(body) | {"model": model}
        if request.take("stream"):
            return tools.as_stream(answer, include_usage=includes_usage(request))
        return encode(answer)

    return present

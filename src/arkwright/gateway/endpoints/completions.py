"""POST /v1/completions: the legacy endpoint, with its list of prompts and its own shape of log probabilities."""

from collections.abc import Callable
from typing import Any

from arkwright.basics.errors import InvalidInput
from arkwright.domain.catalog import Target
from arkwright.domain.queueing import Tier
from arkwright.gateway import service_tiers
from arkwright.gateway.admission import Principal, authenticate
from arkwright.gateway.exchange import Exchange
from arkwright.gateway.guards import guarded
from arkwright.gateway.plan import Plan, fields_for, generation, includes_usage
from arkwright.gateway.routes import Route, resolve
from arkwright.gateway.state import State
from arkwright.gateway.worker import Ask, Worker
from arkwright.wire import openai_answer
from arkwright.wire.openai_logprobs import legacy
from arkwright.wire.openai_request import COMPLETION, Fields, Request, encode, raw, shapes, texts
from arkwright.wire.openai_stream import DONE

PROMPTS_MAX = 128
# OpenAI's own default, so that a caller who names no limit pays for no more than there.
OUTPUT_TOKENS_DEFAULT = 16

ENDPOINT = "completions"
_SHAPES = shapes(COMPLETION)


def create(worker: Worker, exchange: Exchange) -> None:
    worker.forward(_ask(worker.state, exchange, authenticate(worker.state, exchange)))


def _ask(state: State, exchange: Exchange, principal: Principal, route: Route | None = None) -> Ask:
    """What the body asks for: of the model that it names, or along another route."""
    request = Request(exchange.body, _SHAPES)
    route = route or resolve(state, principal, request.take("model"), "chat")
    if route.guards:
        guarded(route, request)
    model = route.model
    prompts = _prompts(request)
    tier = service_tiers.tier(state, principal, model, request)
    limit = request.take("max_tokens")
    if limit is None:
        limit = OUTPUT_TOKENS_DEFAULT
        request.fields["max_tokens"] = raw(limit)
    return Ask(
        exchange,
        principal,
        model,
        route,
        ENDPOINT,
        input_tokens_max=len(request.fields["prompt"]) + request.bytes_cut,
        output_tokens_max=max(1, limit),
        choices=max(request.take("n") or 1, request.take("best_of") or 1) * max(1, len(prompts)),
        planner=lambda target: _plan(request, prompts, target, model.name, tier),
        again=_ask,
        service_tier=tier,
        calls=(request.take("n") or 1) * max(1, len(prompts)),
        streamed=bool(request.take("stream")),
    )


def _prompts(request: Request) -> list[Fields]:
    """The prompts of a list, one by one; empty when there is only one."""
    prompts = texts(request.take("prompt"), "prompt")
    if len(prompts) > PROMPTS_MAX:
        raise InvalidInput(f"'prompt' has {len(prompts)} prompts; the most taken is {PROMPTS_MAX}.", param="prompt")
    return [{"prompt": raw(one)} for one in prompts] if len(prompts) > 1 else []


def _plan(request: Request, prompts: list[Fields], target: Target, model: str, tier: Tier) -> Plan:
    fields = fields_for(request, target)
    if not target.traits.counts_choices and request.take("max_tokens") == 0:
        raise InvalidInput("'max_tokens' must be at least 1 for this model.", param="max_tokens")
    reshape = None
    if request.take("logprobs") is not None and not target.traits.legacy_logprobs:
        reshape = _legacy_shape(request, model)
    told = service_tiers.told(request, tier)
    return generation(
        request, target, fields, endpoint=ENDPOINT, model=model, reshape=reshape, prompts=prompts, tier=told
    )


def _legacy_shape(request: Request, model: str) -> Callable[[bytes], bytes]:
    def present(body: bytes) -> bytes:
        answer = openai_answer.as_object(body) | {"model": model}
        answer.pop("timings", None)
        for choice in answer.get("choices", ()):
            choice["logprobs"] = legacy(choice.get("logprobs"))
        if request.take("stream"):
            return _as_stream(answer, include_usage=includes_usage(request))
        return encode(answer)

    return present


def _as_stream(answer: dict[str, Any], *, include_usage: bool) -> bytes:
    usage = answer.pop("usage", None)
    chunks = [{**answer, "choices": [choice]} for choice in answer.get("choices", ())]
    if include_usage:
        chunks.append({**answer, "choices": [], "usage": usage})
    return b"".join(b"data: " + encode(chunk) + b"\n\n" for chunk in chunks) + DONE

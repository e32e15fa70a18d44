"""What one request asks of one target. Made by an endpoint, carried out by `forward`."""

from collections.abc import Callable
from functools import lru_cache

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.domain.catalog import Target
from arkwright.wire import openai_answer, openai_tier
from arkwright.wire.openai_request import Fields, Request, raw, raw_name


class Plan(msgspec.Struct, frozen=True):
    """`bodies`: one for a plain forward; several when choices are asked for one by one, prompt by prompt.

    streamed: the client gets a stream. upstream_streamed: the upstream is asked for one. drop_usage: the client did
    not ask for the usage chunk that the upstream is asked for. `present` makes the client's answer (as a stream, if
    that is what it wants) out of the upstream's whole one; None: the events of a stream are passed on as they come.
    """

    endpoint: str
    path: str
    streamed: bool
    upstream_streamed: bool
    drop_usage: bool
    bodies: list[bytes]
    choices_per_prompt: int
    present: Callable[[bytes], bytes] | None
    tier: str = ""  # What the answer says of its service tier; empty: nothing.


Planner = Callable[[Target], Plan]  # Raises an ArkwrightError when this target can't honour the request.


def generation(
    request: Request,
    target: Target,
    fields: Fields,
    *,
    endpoint: str,
    model: str,
    reshape: Callable[[bytes], bytes] | None,
    prompts: list[Fields] | None = None,
    tier: str = "",
) -> Plan:
    """The plan of an endpoint that generates. `reshape`: makes the answer where the target's own would not do."""
    asked = request.asked
    streamed = bool(asked.stream)
    passed_on = streamed and reshape is None
    present = reshape or presenting(model, target.upstream_model)
    return Plan(
        endpoint,
        "/" + endpoint.replace(".", "/"),
        streamed,
        wants_stream(request, target),
        passed_on and not includes_usage(request),
        bodies(fields, request, target, prompts),
        asked.n or 1,
        None if passed_on else _telling(present, tier) if tier else present,
        tier,
    )


@lru_cache(1024)
def presenting(model: str, upstream_model: str) -> Callable[[bytes], bytes]:
    """Gives a whole answer the customer's name for the model."""
    return lambda body: openai_answer.presented(body, model=model, upstream_model=upstream_model)


def _telling(present: Callable[[bytes], bytes], tier: str) -> Callable[[bytes], bytes]:
    return lambda body: openai_tier.in_answer(present(body), tier)


def includes_usage(request: Request) -> bool:
    """Whether the client of a stream asked for the usage chunk."""
    options = request.asked.stream_options
    return options is not None and bool(options.include_usage)


def fields_for(request: Request, target: Target) -> Fields:
    """The request's fields as this target is asked them: its name for the model, and how usage is to be reported."""
    refuse(request, target)
    fields = dict(request.fields)
    fields["model"] = raw_name(target.upstream_model)
    fields.pop("service_tier", None)  # It is what the platform sells, not what its upstream does.
    if wants_stream(request, target):
        fields["stream"] = _TRUE
        fields["stream_options"] = _WITH_USAGE
        if target.traits.progress == "timings":
            fields["timings_per_token"] = _TRUE
    return fields


_TRUE, _WITH_USAGE = raw(True), raw({"include_usage": True})


def wants_stream(request: Request, target: Target) -> bool:
    """An engine that can be stopped, or that counts only one choice, is always asked to: both show in streams only."""
    traits = target.traits
    return bool(request.asked.stream) or traits.on_disconnect == "stop" or not traits.counts_choices


def refuse(request: Request, target: Target) -> None:
    """What a target would silently ignore is refused in words."""
    for name in target.traits.refuses:
        value = request.fields.get(name)
        if value is not None and bytes(value).strip() not in (b"null", b"false"):
            raise InvalidInput(f"'{name}' is not supported by this model.", code="unsupported_parameter", param=name)


def bodies(fields: Fields, request: Request, target: Target, prompts: list[Fields] | None = None) -> list[bytes]:
    """The request bodies for a target: one, or one for each prompt and choice where the target counts only one of them.

    A given seed is moved on from choice to choice: the same seed would give the same words `n` times.
    """
    choices = request.asked.n or 1
    if target.traits.counts_choices or (choices == 1 and not prompts):
        return [request.encode(fields)]
    seed = request.take("seed")
    made = []
    for prompt in prompts or [{}]:
        for choice in range(choices):
            one = fields | prompt | {"n": raw(1)}
            if seed is not None:
                one["seed"] = raw(seed + choice)
            made.append(request.encode(one))
    return made

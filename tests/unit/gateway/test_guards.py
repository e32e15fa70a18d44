"""What guards refuse, what they add, and what they leave as it was."""

import json
from typing import Any

import pytest

from arkwright.basics.errors import InvalidInput
from arkwright.domain.catalog import Model
from arkwright.domain.endpoints import Guard
from arkwright.gateway.guards import guarded
from arkwright.gateway.routes import Route
from arkwright.wire.openai_request import CHAT, COMPLETION, Request, shapes

MODEL = Model("mod", "m", "chat", 0, 4096)
TEXT = [{"role": "user", "content": "hello"}]


def route(*guards: Guard) -> Route:
    return Route("ep-x", MODEL, (), endpoint_id="ep-x", guards=guards)


def request(**fields: Any) -> Request:
    return Request(json.dumps({"model": "ep-x", "messages": TEXT} | fields).encode(), shapes(CHAT))


def refusal(guard: Guard, **fields: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as refused:
        guarded(route(guard), request(**fields))
    return refused.value


def content(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [*TEXT, {"role": "user", "content": [{"type": "text", "text": "look"}, *parts]}]


@pytest.mark.parametrize(
    ("part", "fields", "param"),
    [
        ("tools", {"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ("tools", {"functions": [{"name": "f"}]}, "functions"),
        ("images", {"messages": content({"type": "image_url", "image_url": {"url": "data:,x"}})}, "messages"),
        ("audio", {"messages": content({"type": "input_audio", "input_audio": {"data": ""}})}, "messages"),
        ("choices", {"n": 2}, "n"),
        ("logprobs", {"logprobs": True}, "logprobs"),
        ("response_format", {"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_a_part_that_is_refused_is_named_and_passes_where_it_is_not(
    part: Any, fields: dict[str, Any], param: str
) -> None:
    error = refusal(Guard(refuses=(part,)), **fields)
    assert (error.param, error.code) == (param, "unsupported_parameter")
    others = tuple(other for other in ("tools", "images", "audio", "choices", "logprobs") if other != part)
    guarded(route(Guard(refuses=others)), request(**fields))  # type: ignore[arg-type]


def test_what_is_not_really_there_is_not_refused() -> None:
    words = [{"role": "user", "content": 'say "type": "image_url"'}]
    every = Guard(refuses=("tools", "images", "audio", "choices", "logprobs", "response_format"))
    guarded(route(every), request(messages=words, tools=None, n=1, logprobs=False))


def test_an_image_is_found_however_its_name_is_written() -> None:
    body = b'{"model":"ep-x","messages":[{"role":"user","content":[{"type":"image\\u005furl"}]}]}'
    with pytest.raises(InvalidInput):
        guarded(route(Guard(refuses=("images",))), Request(body, shapes(CHAT)))


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_most_is_a_bound_on_what_is_asked(name: str) -> None:
    error = refusal(Guard(max_output_tokens=100), **{name: 101})
    assert (error.param, error.code) == (name, "max_tokens_exceeded")
    made = request(**{name: 100})
    guarded(route(Guard(max_output_tokens=100, default_output_tokens=7)), made)
    assert (made.take(name), made.take("max_tokens") or made.take("max_completion_tokens")) == (100, 100)


def test_who_names_no_bound_is_given_the_default_or_the_most() -> None:
    for guard, bound in ((Guard(max_output_tokens=100), 100), (Guard(100, 20), 20), (Guard(None, 30), 30)):
        made = request()
        guarded(route(guard), made)
        assert (made.take("max_tokens"), json.loads(bytes(made.fields["max_tokens"]))) == (bound, bound)
    made = Request(b'{"model":"ep-x","prompt":"x"}', shapes(COMPLETION))
    guarded(route(Guard(max_output_tokens=100)), made)
    assert made.take("max_tokens") == 100


def test_a_temperature_is_given_only_to_who_names_none() -> None:
    guard = Guard(default_temperature=0.25)
    made, chosen = request(), request(temperature=0)
    guarded(route(guard), made)
    guarded(route(guard), chosen)
    assert (made.take("temperature"), chosen.take("temperature")) == (0.25, 0)


def test_each_guard_on_the_way_has_its_say() -> None:
    first, second = Guard(default_output_tokens=60), Guard(max_output_tokens=50)
    with pytest.raises(InvalidInput, match="at most 50"):
        guarded(route(first, second), request())
    made = request()
    guarded(route(Guard(default_output_tokens=40), second), made)
    assert made.take("max_tokens") == 40

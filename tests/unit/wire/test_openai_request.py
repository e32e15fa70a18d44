"""Requests: what is checked, what goes through untouched, and how a refusal names its field."""

import msgspec
import pytest

from arkwright.basics.errors import InvalidInput
from arkwright.wire.openai_request import CHAT, EMBEDDING, Request, encode, raw, shapes

SHAPES = shapes(CHAT)
GOOD = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def request(**fields: object) -> Request:
    return Request(msgspec.json.encode(GOOD | fields), SHAPES)


def test_unknown_fields_go_through_untouched() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"h\\u00e9"}],"top_k": 5,"x":{"y":[1,2]}}'
    fields = Request(body, SHAPES).fields
    assert bytes(fields["x"]) == b'{"y":[1,2]}'
    assert encode(fields | {"model": raw("up")}) == body.replace(b'"m"', b'"up"').replace(b": 5", b":5")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": 3}, "model"),
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages"),
        ({"messages": [{"role": "boss", "content": "x"}]}, "messages"),
        ({"stream": "yes"}, "stream"),
        ({"n": 0}, "n"),
        ({"n": 10_000}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"stop": 5}, "stop"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tools": [{"function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "xml"}}, "response_format"),
    ],
)
def test_a_refusal_names_its_field(fields: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        request(**fields)
    assert refused.value.param == param
    assert refused.value.status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"{}x", b"\xff", b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        Request(body, SHAPES)


def test_missing_fields_are_named() -> None:
    with pytest.raises(InvalidInput, match="'messages'"):
        Request(b'{"model":"m"}', SHAPES)
    with pytest.raises(InvalidInput, match="'input'"):
        Request(b'{"model":"m"}', shapes(EMBEDDING))


def test_null_stands_for_not_given() -> None:
    assert request(n=None, stream=None, temperature=None, stop=None).take("n") is None


def test_depth_inside_a_known_field_is_refused() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":' + b"[" * 5000 + b"]" * 5000 + b"}]}"
    with pytest.raises(InvalidInput):
        Request(body, SHAPES)

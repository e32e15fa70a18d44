"""Anthropic's dialect: its request as a chat, a chat's answer as its own, at every cut of the bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.basics.errors import InvalidInput, NotFound, PaymentRequired
from arkwright.wire import anthropic_answer, anthropic_errors, anthropic_models, anthropic_request
from arkwright.wire.openai_stream import DONE

HELLO: list[Any] = [{"role": "user", "content": "hello"}]
CALL = {"type": "tool_use", "id": "a", "name": "b", "input": {}}
WEATHER = {"name": "weather", "description": "of a city", "input_schema": {"type": "object"}}


def asked(**fields: Any) -> dict[str, Any]:
    body = {"model": "m", "max_tokens": 10, "messages": HELLO} | fields
    made: dict[str, Any] = json.loads(anthropic_request.to_chat(json.dumps(body).encode()))
    return made


def test_a_plain_request() -> None:
    assert asked() == {"model": "m", "messages": HELLO, "max_tokens": 10}
    assert asked(
        system="be kind", temperature=0.5, top_p=0.9, top_k=4, stop_sequences=["x"], stream=True,
        metadata={"user_id": "u"}, service_tier="standard_only",
    ) == {
        "model": "m", "messages": [{"role": "system", "content": "be kind"}, *HELLO], "max_tokens": 10,
        "temperature": 0.5, "top_p": 0.9, "top_k": 4, "stop": ["x"], "user": "u", "service_tier": "default",
        "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip


def test_a_conversation_with_tools() -> None:
    made = asked(
        tools=[WEATHER],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        system=[{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "weather?"}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Paris"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "sunny"}]},
                    {"type": "tool_result", "tool_use_id": "t2", "content": "no", "is_error": True},
                    {"type": "text", "text": "so?"},
                ],
            },
        ],
    )
    assert made["messages"] == [
        {"role": "system", "content": "a\n\nb"},
        {"role": "user", "content": "weather?"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "t2", "content": "Error: no"},
        {"role": "user", "content": "so?"},
    ]
    function = {"name": "weather", "description": "of a city", "parameters": {"type": "object"}}
    assert made["tools"] == [{"type": "function", "function": function}]
    assert (made["tool_choice"], made["parallel_tool_calls"]) == ("required", False)
    named = asked(tools=[WEATHER], tool_choice={"type": "tool", "name": "weather"})
    assert named["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


def test_images_and_structure_and_thinking() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    parts = [{"type": "image", "source": source}, {"type": "image", "source": {"type": "url", "url": "https://x/y"}}]
    made = asked(messages=[{"role": "user", "content": [*parts, {"type": "text", "text": "?"}]}])
    urls = [part["image_url"]["url"] for part in made["messages"][0]["content"][:2]]
    assert urls == ["data:image/png;base64,aGk=", "https://x/y"]
    shaped = asked(output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}})
    assert shaped["response_format"]["json_schema"]["schema"] == {"type": "object"}
    for budget, effort in ((1_024, "low"), (10_000, "medium"), (30_000, "high")):
        thinking = {"type": "enabled", "budget_tokens": budget}
        assert asked(max_tokens=40_000, thinking=thinking)["reasoning_effort"] == effort
    assert "reasoning_effort" not in asked(thinking={"type": "disabled"})


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]}, "messages"),
        ({"messages": [{"role": "user", "content": [CALL]}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_result", "tool_use_id": "a"}]}]}, "messages"),
        ({"temperature": 1.5}, "temperature"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools"),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool"}}, "tool_choice"),
        ({"mcp_servers": [{"url": "http://x"}]}, "mcp_servers"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "thinking"),
        ({"thinking": {"type": "enabled"}}, "thinking"),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_by_its_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        asked(**fields)
    assert refused.value.param == param


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model": "m"}', b'"x"', b"\xff", b"[" * 100_000])
def test_what_is_no_request_is_said_so(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        anthropic_request.to_chat(body)


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    told = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]} | more
    return b"data: " + json.dumps(told).encode() + b"\n\n"


USAGE = {"prompt_tokens": 30, "completion_tokens": 12, "prompt_tokens_details": {"cached_tokens": 20}}
TOLD = {
    "input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 20, "output_tokens": 12,
    "service_tier": "standard",
}  # fmt: skip
STREAM = b"".join(
    (
        chunk({"role": "assistant", "content": None}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "Hé"}),
        chunk({"content": "llo"}),
        chunk({"tool_calls": [{"index": 0, "id": "t1", "function": {"name": "weather", "arguments": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"Paris"}'}}]}),
        chunk({"tool_calls": [{"index": 1, "id": "t2", "function": {"name": "now", "arguments": "{}"}}]}),
        chunk({}, "tool_calls"),
        b"data: " + json.dumps({"id": "chatcmpl-1", "model": "m", "choices": [], "usage": USAGE}).encode() + b"\n\n",
    )
)


def read(stream: bytes) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for event in stream.decode().split("\n\n")[:-1]:
        name, data = event.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
        assert found[-1][1]["type"] == found[-1][0]
    return found


def said(pieces: list[bytes]) -> bytes:
    stream = anthropic_answer.Stream("req_1")
    return b"".join(stream.feed(piece) for piece in pieces) + stream.feed(DONE) + stream.end()


def message_of(events: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """What a client puts together of a stream, as Anthropic's own does."""
    message: dict[str, Any] = {}
    arguments = ""
    for name, event in events:
        if name == "message_start":
            message = event["message"]
        elif name == "content_block_start":
            assert event["index"] == len(message["content"])
            message["content"].append(event["content_block"])
            arguments = ""
        elif name == "content_block_delta":
            assert event["index"] == len(message["content"]) - 1
            delta, block = event["delta"], message["content"][-1]
            field = delta["type"].removesuffix("_delta").replace("input_json", "partial_json")
            if field == "partial_json":
                arguments += delta[field]
                block["input"] = arguments
            else:
                block[field] += delta[field]
        elif name == "content_block_stop" and isinstance(message["content"][-1].get("input"), str):
            message["content"][-1]["input"] = json.loads(message["content"][-1]["input"])
        elif name == "message_delta":
            message |= event["delta"] | {"usage": event["usage"]}
    return message


def test_a_stream_is_anthropics_events_at_every_cut() -> None:
    whole = said([STREAM])
    events = read(whole)
    assert [name for name, _ in events] == [
        "message_start",
        "content_block_start", "content_block_delta", "content_block_stop",
        "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
        "content_block_start", "content_block_delta", "content_block_delta", "content_block_stop",
        "content_block_start", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    message = message_of(events)
    assert [block["type"] for block in message["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    assert message["content"][1]["text"] == "Héllo"
    assert message["content"][2]["input"] == {"city": "Paris"}
    assert (message["stop_reason"], message["usage"]) == ("tool_use", TOLD)
    for cut in range(len(STREAM) + 1):
        assert said([STREAM[:cut], STREAM[cut:]]) == whole
    assert said([STREAM[at : at + 1] for at in range(len(STREAM))]) == whole


def test_an_error_in_a_stream_ends_it() -> None:
    error = b'data: {"error": {"message": "it broke", "type": "server_error"}}\n\n'
    events = read(said([chunk({"content": "a"}), error]))
    assert events[-1][0] == "error"
    assert events[-1][1]["error"] == {"type": "api_error", "message": "it broke"}
    assert events[-1][1]["request_id"] == "req_1"
    assert "message_stop" not in [name for name, _ in events]


@given(st.text(), st.text(), st.dictionaries(st.text(), st.integers() | st.text()), st.sampled_from(["stop", "length"]))
def test_a_whole_answer_says_what_the_stream_of_it_says(text: str, thought: str, given: Any, finish: str) -> None:
    call = {"index": 0, "id": "t", "function": {"name": "f", "arguments": json.dumps(given)}}
    words = {"content": text or None, "reasoning_content": thought or None, "tool_calls": [call]}
    choice = {"index": 0, "message": words, "finish_reason": finish}
    body = {"id": "chatcmpl-1", "model": "m", "choices": [choice], "usage": USAGE}
    whole = json.loads(anthropic_answer.message(json.dumps(body).encode()))
    stream = [chunk({"reasoning_content": thought}), chunk({"content": text}), chunk({"tool_calls": [call]})]
    streamed = message_of(read(said([*stream, chunk({}, finish, usage=USAGE)])))
    assert streamed == whole
    assert whole["content"][-1]["input"] == given
    assert whole["stop_reason"] == {"stop": "end_turn", "length": "max_tokens"}[finish]


def test_a_stop_sequence_is_told_where_the_engine_tells_it() -> None:
    choice = {"index": 0, "message": {"content": "a"}, "finish_reason": "stop", "stop_reason": "END"}
    answer = json.loads(anthropic_answer.message(json.dumps({"id": "1", "model": "m", "choices": [choice]}).encode()))
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", "END")


def test_errors_have_its_shape() -> None:
    for error, kind in ((NotFound("no"), "not_found_error"), (PaymentRequired("no"), "billing_error")):
        told = json.loads(anthropic_errors.render(error, "req_1"))
        assert told == {"type": "error", "error": {"type": kind, "message": "no"}, "request_id": "req_1"}


def test_models_come_in_pages() -> None:
    cards = [anthropic_models.Card(str(number), str(number), "") for number in range(5)]
    first = json.loads(anthropic_models.page(cards, after="", before="", limit=2))
    assert ([card["id"] for card in first["data"]], first["has_more"], first["last_id"]) == (["0", "1"], True, "1")
    last = json.loads(anthropic_models.page(cards, after="3", before="", limit=2))
    assert ([card["id"] for card in last["data"]], last["has_more"]) == (["4"], False)
    back = json.loads(anthropic_models.page(cards, after="", before="3", limit=2))
    assert ([card["id"] for card in back["data"]], back["has_more"]) == (["1", "2"], True)

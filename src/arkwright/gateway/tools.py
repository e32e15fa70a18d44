"""Forced tool calls for engines that ignore `tool_choice`: the call is asked for as JSON under a schema.

The engine can then only write `{"name": …, "arguments": …}` with a known name; that is turned into a tool call here.
"""

from typing import Any

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.basics.ids import new_id
from arkwright.wire.openai_answer import as_object
from arkwright.wire.openai_request import Fields, Function, NamedTool, Request, raw
from arkwright.wire.openai_stream import DONE

_ANY_OBJECT: dict[str, Any] = {"type": "object"}


class _Call(msgspec.Struct):
    name: str
    arguments: dict[str, Any]


_encoder = msgspec.json.Encoder()
_call_decoder = msgspec.json.Decoder(_Call)


def forced(request: Request) -> list[Function]:
    """The functions one of which must be called; empty when the model may also just answer."""
    choice = request.take("tool_choice")
    functions = [tool.function for tool in request.take("tools") or () if tool.function is not None]
    if isinstance(choice, NamedTool):
        named = [function for function in functions if function.name == choice.function.name]
        if not named:
            raise InvalidInput(
                f"Tool choice '{choice.function.name}' is not among the 'tools' of the request.", param="tool_choice"
            )
        return named
    if choice == "required" and not functions:
        raise InvalidInput("'tool_choice' is 'required', but the request has no 'tools'.", param="tool_choice")
    return functions if choice == "required" else []


def as_schema(fields: Fields, functions: list[Function]) -> Fields:
    """The request with its tools replaced by a schema that only a call fits, and words that tell the model of them."""
    variants = [
        {
            "type": "object",
            "properties": {"name": {"const": function.name}, "arguments": function.parameters or _ANY_OBJECT},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for function in functions
    ]
    schema = variants[0] if len(variants) == 1 else {"anyOf": variants}
    told = [{"name": f.name, "description": f.description, "parameters": f.parameters} for f in functions]
    words = (
        'Call one of these functions by answering with JSON {"name": …, "arguments": …} and nothing else:\n'
        + _encoder.encode(told).decode()
    )
    system = _encoder.encode({"role": "system", "content": words})
    messages = bytes(fields["messages"]).strip()
    kept = {
        name: value for name, value in fields.items() if name not in ("tools", "tool_choice", "parallel_tool_calls")
    }
    return kept | {
        "messages": msgspec.Raw(b"[" + system + b"," + messages[1:]),
        "response_format": raw({"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}),
    }


def as_calls(body: bytes) -> dict[str, Any]:
    """The engine's answer with its words turned into tool calls. An answer cut by a limit stays as it is."""
    answer = as_object(body)
    answer.pop("timings", None)
    for choice in answer.get("choices", ()):
        message = choice.get("message") or {}
        try:
            call = _call_decoder.decode(message.get("content") or "")
        except msgspec.DecodeError:
            continue
        function = {"name": call.name, "arguments": _encoder.encode(call.arguments).decode()}
        message["content"] = None
        message["tool_calls"] = [{"id": new_id("call"), "type": "function", "function": function}]
        choice["finish_reason"] = "tool_calls"
    return answer


def as_stream(answer: dict[str, Any], *, include_usage: bool) -> bytes:
    """A whole chat answer as the stream that a client asked for."""
    shared = {name: value for name, value in answer.items() if name not in ("choices", "usage")}
    shared["object"] = "chat.completion.chunk"
    chunks = []
    for choice in answer.get("choices", ()):
        delta = dict(choice.get("message") or {})
        for index, call in enumerate(delta.get("tool_calls") or ()):
            call["index"] = index
        chunks.append({"index": choice.get("index", 0), "delta": delta, "finish_reason": None})
        chunks.append({"index": choice.get("index", 0), "delta": {}, "finish_reason": choice.get("finish_reason")})
    events = [{**shared, "choices": [chunk]} for chunk in chunks]
    if include_usage:
        events.append({**shared, "choices": [], "usage": answer.get("usage")})
    return b"".join(b"data: " + _encoder.encode(event) + b"\n\n" for event in events) + DONE

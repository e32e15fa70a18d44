"""Requests of OpenAI's generation endpoints: read what the gateway must know, change only what it must change.

The body is scanned once into raw fields; fields nobody here knows go through untouched. Never decodes a prompt.
"""

from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.wire.long_body import LONG_BYTES, cut

Field = msgspec.Raw
Fields = dict[str, msgspec.Raw]

CHOICES_MAX = 128

_Bool = bool | None
_Tokens = Annotated[int, msgspec.Meta(ge=1)] | None
_Penalty = Annotated[float, msgspec.Meta(ge=-2, le=2)] | None


class Message(msgspec.Struct):
    """The shape every chat message must have; its content stays raw."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: msgspec.Raw = msgspec.Raw(b"null")
    tool_calls: msgspec.Raw = msgspec.Raw(b"null")
    function_call: msgspec.Raw = msgspec.Raw(b"null")


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class Function(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(msgspec.Struct):
    type: str
    function: Function | None = None


class NamedFunction(msgspec.Struct):
    name: str


class NamedTool(msgspec.Struct):
    function: NamedFunction
    type: Literal["function"] = "function"


ToolChoice = Literal["none", "auto", "required"] | NamedTool


class JsonSchema(msgspec.Struct):
    name: str
    schema: dict[str, Any] | None = None
    strict: bool | None = None
    description: str | None = None


class ResponseFormat(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


# A text, several texts, a text as token ids, or several of those; `texts` tells them apart.
_Texts = str | list[str | int | list[int]]

# What each known field must be; an explicit null stands for "not given" wherever OpenAI lets it.
_COMMON: dict[str, Any] = {
    "model": Annotated[str, msgspec.Meta(min_length=1, max_length=256)],
    "stream": _Bool,
    "stream_options": StreamOptions | None,
    "n": Annotated[int, msgspec.Meta(ge=1, le=CHOICES_MAX)] | None,
    "max_tokens": _Tokens,
    "temperature": Annotated[float, msgspec.Meta(ge=0, le=2)] | None,
    "top_p": Annotated[float, msgspec.Meta(ge=0, le=1)] | None,
    "frequency_penalty": _Penalty,
    "presence_penalty": _Penalty,
    "seed": int | None,
    "stop": str | list[str] | None,
    "user": str | None,
    "logit_bias": dict[str, float] | None,
    "service_tier": str | None,
}
CHAT: dict[str, Any] = _COMMON | {
    "messages": Annotated[list[Message], msgspec.Meta(min_length=1)],
    "max_completion_tokens": _Tokens,
    "logprobs": _Bool,
    "top_logprobs": Annotated[int, msgspec.Meta(ge=0, le=20)] | None,
    "tools": list[Tool] | None,
    "tool_choice": ToolChoice | None,
    "parallel_tool_calls": _Bool,
    "response_format": ResponseFormat | None,
}
COMPLETION: dict[str, Any] = _COMMON | {
    "prompt": _Texts,
    "max_tokens": Annotated[int, msgspec.Meta(ge=0)] | None,
    "logprobs": Annotated[int, msgspec.Meta(ge=0, le=20)] | None,
    "echo": _Bool,
    "best_of": Annotated[int, msgspec.Meta(ge=1, le=20)] | None,
    "suffix": str | None,
}
EMBEDDING: dict[str, Any] = {
    "model": _COMMON["model"],
    "input": _Texts,
    "encoding_format": Literal["float", "base64"] | None,
    "dimensions": _Tokens,
    "user": str | None,
}

_REQUIRED = ("model", "messages", "prompt", "input")


class Shapes:
    """What a table of field types makes of a body: all of it in one go, or field by field for the words of an error."""

    __slots__ = ("_fields", "whole")

    def __init__(self, types: dict[str, Any]) -> None:
        given = [(name, kind) if name in _REQUIRED else (name, kind, None) for name, kind in types.items()]
        # None of it holds what it is held by, so the collector need not look at it.
        asked = msgspec.defstruct("Asked", sorted(given, key=len), gc=False)
        self.whole = msgspec.json.Decoder(asked)
        self._fields = {name: msgspec.json.Decoder(kind) for name, kind in types.items()}

    def one_by_one(self, fields: Fields) -> Any:
        """Raises InvalidInput, naming the first field that is missing or is not what it must be."""
        for name in _REQUIRED:
            if name in self._fields and name not in fields:
                raise InvalidInput(
                    f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name
                )
        known = {name: value for name, value in fields.items() if name in self._fields}
        return self.whole.type(**{name: _decoded(name, value, self._fields[name]) for name, value in known.items()})


class Request:
    """A body as raw fields, and as `asked` the known ones, checked and decoded: null and absent are None.

    `read`: what was read of the body, which is `bytes_cut` longer; `encode` puts back what was cut out of it.
    """

    __slots__ = ("_cut", "asked", "bytes_cut", "fields", "read")

    def __init__(self, body: bytes, shapes: Shapes) -> None:
        """Raises InvalidInput, naming the field, for anything that is not a request of this shape."""
        self._cut = cut(body) if len(body) >= LONG_BYTES else None
        if self._cut is not None:
            try:
                self._read(self._cut.rest, shapes)
            except InvalidInput:
                self._cut = None  # What is wrong is said of the body as it came.
        if self._cut is None:
            self._read(body, shapes)
        self.bytes_cut = len(body) - len(self.read)

    def beginning(self, text: msgspec.Raw, count: int) -> bytes:
        """The first bytes of a JSON string of this request as it came, its quote among them."""
        if self._cut is not None and self._cut.is_in(bytes(text)):
            return self._cut.beginning(bytes(text), count)
        return bytes(memoryview(text)[:count])

    def length(self, text: msgspec.Raw) -> int:
        """Of a JSON string of this request as it came."""
        return len(text) + (self.bytes_cut if self._cut is not None and self._cut.is_in(bytes(text)) else 0)

    def encode(self, fields: Fields) -> bytes:
        """A body of these fields, which are this request's but for what was changed."""
        body = encode(fields)
        return body if self._cut is None else self._cut.mended(body)

    def _read(self, body: bytes, shapes: Shapes) -> None:
        self.read = body
        self.fields = _fields(body)
        self.asked: Any
        try:
            self.asked = shapes.whole.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self.asked = shapes.one_by_one(self.fields)  # Of a field that came twice, the last one counts.

    def take(self, name: str) -> Any:
        """One of the known fields by its name; None for what this endpoint does not know."""
        return getattr(self.asked, name, None)

    def give(self, name: str, value: Any) -> None:
        """As if the caller had written it."""
        self.fields[name] = raw(value)
        setattr(self.asked, name, value)


def _decoded(name: str, value: msgspec.Raw, shape: msgspec.json.Decoder[Any]) -> Any:
    try:
        return shape.decode(value)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"Invalid value for '{name}': {error}.", param=name) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(f"Invalid JSON in '{name}'.", code="invalid_json", param=name) from error


def shapes(types: dict[str, Any]) -> Shapes:
    """Decoders for a table of field types; made once, at import."""
    return Shapes(types)


def encode(fields: Fields) -> bytes:
    """The body again, raw fields copied as they are."""
    return _encoder.encode(fields)


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(_encoder.encode(value))


raw_name = lru_cache(4096)(raw)  # For names, which are few and told again and again.


def texts(given: Any, param: str) -> list[Any]:
    """The single texts of a field of several: strings, or lists of token ids. Raises InvalidInput on an odd mixture."""
    if isinstance(given, str):
        return [given]
    kinds = {type(one) for one in given}
    if len(kinds) != 1:
        raise InvalidInput(f"'{param}' must hold texts of one kind, and at least one.", param=param)
    return [given] if kinds == {int} else list(given)


_encoder = msgspec.json.Encoder()
_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _fields(body: bytes) -> Fields:
    try:
        return _fields_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInput("The request body must be a JSON object.", code="invalid_json") from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        what = str(error) or "it is nested too deeply"
        raise InvalidInput(f"We could not parse the JSON body of your request: {what}.", code="invalid_json") from error

"""Requests of Anthropic's Messages API, as the same request of OpenAI's chat.

Law: pure. A field is carried over, or refused in words; none that means something is dropped in silence. Prompts go
over as they are: a `cache_control` mark is a wish that engines with a cache of prefixes fulfil by themselves.
"""

import re
from typing import Annotated, Any, Literal

import msgspec

from arkwright.basics.errors import InvalidInput

_TEXT = Annotated[str, msgspec.Meta(max_length=200_000_000)]


class Text(msgspec.Struct, tag="text"):
    text: _TEXT
    cache_control: dict[str, Any] | None = None


class ImageSource(msgspec.Struct):
    type: Literal["base64", "url"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"] | None = None
    data: str = ""
    url: str = ""


class Image(msgspec.Struct, tag="image"):
    source: ImageSource
    cache_control: dict[str, Any] | None = None


class ToolUse(msgspec.Struct, tag="tool_use"):
    id: str
    name: str
    input: dict[str, Any]
    cache_control: dict[str, Any] | None = None


class ToolResult(msgspec.Struct, tag="tool_result"):
    tool_use_id: str
    content: str | list[Text | Image] = ""
    is_error: bool = False
    cache_control: dict[str, Any] | None = None


class Thinking(msgspec.Struct, tag="thinking"):
    """What a model thought in an earlier turn. Templates take no thoughts back: it is left out, as Anthropic does."""

    thinking: str
    signature: str = ""


class RedactedThinking(msgspec.Struct, tag="redacted_thinking"):
    data: str = ""


Block = Text | Image | ToolUse | ToolResult | Thinking | RedactedThinking


class Turn(msgspec.Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class Tool(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    input_schema: dict[str, Any] | None = None
    description: str | None = None
    type: str | None = None
    cache_control: dict[str, Any] | None = None


class ToolChoice(msgspec.Struct):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False


class ThinkingWish(msgspec.Struct):
    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None


class Metadata(msgspec.Struct):
    user_id: str | None = None


class OutputFormat(msgspec.Struct):
    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(msgspec.Struct):
    effort: str | None = None
    format: OutputFormat | None = None


class Prompt(msgspec.Struct):
    """What a request shows the model: what `count_tokens` counts."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    messages: Annotated[list[Turn], msgspec.Meta(min_length=1)]
    system: str | list[Text] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: ThinkingWish | None = None


class Message(Prompt, kw_only=True):
    max_tokens: Annotated[int, msgspec.Meta(ge=1)]
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, msgspec.Meta(ge=0)] | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    output_config: OutputConfig | None = None


# What would change an answer, and can't be honoured here.
_REFUSED = ("container", "mcp_servers", "context_management", "inference_geo", "speed")
# How hard to think, by the budget that a request allows.
_EFFORTS = ((4_096, "low"), (16_384, "medium"))

_INDEX = re.compile(r"\[(\d+|\.\.\.)\]")
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_message = msgspec.json.Decoder(Message)
_prompt = msgspec.json.Decoder(Prompt)
_encoder = msgspec.json.Encoder()


def to_chat(body: bytes) -> bytes:
    """The body of OpenAI's request. Raises InvalidInput, naming the field."""
    asked: Message = _decoded(body, _message)
    chat = _shown(asked) | {
        "max_tokens": asked.max_tokens,
        "stop": asked.stop_sequences or None,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "top_k": asked.top_k or None,
        "user": asked.metadata.user_id if asked.metadata is not None else None,
        "service_tier": {"auto": "auto", "standard_only": "default", None: None}[asked.service_tier],
        "reasoning_effort": _effort(asked),
    }
    if asked.output_config is not None and asked.output_config.format is not None:
        schema = {"name": "answer", "schema": asked.output_config.format.schema}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    if asked.stream:
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    return _encoder.encode({name: value for name, value in chat.items() if value is not None})


def prompt(body: bytes) -> Prompt:
    """A request that is only to be counted, checked. Raises InvalidInput, naming the field."""
    asked: Prompt = _decoded(body, _prompt)
    _shown(asked)
    return asked


def _decoded(body: bytes, decoder: Any) -> Any:
    try:
        given = _fields.decode(body)
        asked = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInput(_in_words(str(error)), param=_field(str(error))) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The request body is not valid JSON: {error or 'it is nested too deeply'}.") from error
    for name in _REFUSED:
        if name in given and bytes(given[name]).strip() not in (b"null", b"[]"):
            raise InvalidInput(f"{name}: this is not supported here.", code="unsupported_parameter", param=name)
    return asked


def _in_words(reason: str) -> str:
    """msgspec's complaint with Anthropic's way to say where: `messages.0.content: …`."""
    what, _, where = reason.partition(" - at `$")
    place = _INDEX.sub(r".\1", where.rstrip("`")).lstrip(".")
    return f"{place}: {what}" if place else what


def _field(reason: str) -> str | None:
    place = reason.partition(" - at `$")[2].rstrip("`").lstrip(".")
    return _INDEX.sub(r".\1", place).split(".")[0] or None


def _effort(asked: Message) -> str | None:
    if asked.output_config is not None and asked.output_config.effort is not None:
        return asked.output_config.effort
    wish = asked.thinking
    if wish is None or wish.type != "enabled":
        return None
    if wish.budget_tokens is None:
        raise InvalidInput("thinking.budget_tokens: Field required", param="thinking")
    if wish.budget_tokens >= asked.max_tokens:
        raise InvalidInput("thinking.budget_tokens must be less than max_tokens.", param="thinking")
    return next((effort for tokens, effort in _EFFORTS if wish.budget_tokens <= tokens), "high")


def _shown(asked: Prompt) -> dict[str, Any]:
    choice = asked.tool_choice
    return {
        "model": asked.model,
        "messages": [*_system(asked.system), *(message for turn in asked.messages for message in _messages(turn))],
        "tools": [_tool(tool) for tool in asked.tools or ()] or None,
        "tool_choice": _choice(choice) if asked.tools else None,
        "parallel_tool_calls": False if asked.tools and choice and choice.disable_parallel_tool_use else None,
    }


def _system(system: str | list[Text] | None) -> list[dict[str, Any]]:
    text = system if isinstance(system, str) or system is None else "\n\n".join(block.text for block in system)
    return [{"role": "system", "content": text}] if text else []


def _messages(turn: Turn) -> list[dict[str, Any]]:
    """One turn as the messages it is there: results of tools first, each its own."""
    if isinstance(turn.content, str):
        return [{"role": turn.role, "content": turn.content}]
    made = [_result(block) for block in turn.content if isinstance(block, ToolResult)]
    if made and turn.role != "user":
        raise InvalidInput("messages: tool_result blocks can only be in `user` messages.", param="messages")
    calls = [_call(block) for block in turn.content if isinstance(block, ToolUse)]
    if calls and turn.role != "assistant":
        raise InvalidInput("messages: tool_use blocks can only be in `assistant` messages.", param="messages")
    content = _content([block for block in turn.content if isinstance(block, Text | Image)])
    if calls:
        made.append({"role": "assistant", "content": content, "tool_calls": calls})
    elif content is not None or not made:
        made.append({"role": turn.role, "content": content or ""})
    return made


def _content(blocks: list[Text | Image]) -> str | list[dict[str, Any]] | None:
    """Words alone as a string, which every chat template takes; with images, parts."""
    if not blocks:
        return None
    if all(isinstance(block, Text) for block in blocks):
        return "".join(block.text for block in blocks if isinstance(block, Text))
    return [_part(block) for block in blocks]


def _part(block: Text | Image) -> dict[str, Any]:
    if isinstance(block, Text):
        return {"type": "text", "text": block.text}
    source = block.source
    if source.type == "base64":
        if source.media_type is None or not source.data:
            raise InvalidInput("messages: an image of type base64 has a media_type and data.", param="messages")
        return {"type": "image_url", "image_url": {"url": f"data:{source.media_type};base64,{source.data}"}}
    return {"type": "image_url", "image_url": {"url": source.url}}


def _call(block: ToolUse) -> dict[str, Any]:
    arguments = _encoder.encode(block.input).decode()
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": arguments}}


def _result(block: ToolResult) -> dict[str, Any]:
    content = block.content
    if isinstance(content, list):
        content = _content(content) or ""  # type: ignore[assignment]  # A tool may show images.
    if block.is_error and isinstance(content, str):
        content = f"Error: {content}"  # OpenAI's messages have no mark for it.
    return {"role": "tool", "tool_call_id": block.tool_use_id, "content": content}


def _tool(tool: Tool) -> dict[str, Any]:
    if tool.type not in (None, "custom") or tool.input_schema is None:
        raise InvalidInput(
            f"tools: {tool.name!r} is a tool of Anthropic's servers ({tool.type or 'no input_schema'}); only tools of"
            " your own, with an input_schema, can be used here.",
            code="unsupported_parameter",
            param="tools",
        )
    function = {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}


def _choice(choice: ToolChoice | None) -> Any:
    if choice is None:
        return None
    if choice.type == "tool":
        if not choice.name:
            raise InvalidInput("tool_choice.name: Field required", param="tool_choice")
        return {"type": "function", "function": {"name": choice.name}}
    return {"auto": "auto", "any": "required", "none": "none"}[choice.type]

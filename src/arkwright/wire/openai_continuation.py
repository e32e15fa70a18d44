"""Go on with a streamed answer that broke off: what was delivered, the request for the rest, and how both are joined.

Law: the client sees one answer: no word twice, none left out, one identity in every chunk. What can't be gone on with
word by word (a tool call half told, a grammar that would begin anew) is said to be so, never guessed.
"""

from typing import Any

import msgspec

from arkwright.wire.openai_request import Fields, raw
from arkwright.wire.openai_stream import StreamFollower, finishes
from arkwright.wire.openai_usage import Counts
from arkwright.wire.sse import Splitter, data_of, events

KEPT_BYTES_MAX = 1024 * 1024  # Of delivered text: what is longer is not gone on with.
_RAW_BYTES_MAX = 64 * 1024  # Of chunks as they came; beyond, only their text is kept.

_IDENTITY = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
_PLAIN_DELTA = {"role", "content"}
# Each holds an engine to a form from the first word on; gone on with, it would begin anew.
_FORMS = ("tools", "functions", "grammar", "json_schema")
_LIMITS = ("max_tokens", "max_completion_tokens")
# Beside the words themselves these tell more of each, or several answers at once.
_NOT_PLAIN = ("best_of", "echo", "suffix")

_encoder = msgspec.json.Encoder()
_chunks = msgspec.json.Decoder(dict[str, Any])
_fields = msgspec.json.Decoder(Fields)
_messages = msgspec.json.Decoder(list[msgspec.Raw])
_message = msgspec.json.Decoder(Fields)


class Delivered:
    """What a client was sent of a stream, for as long as it is short enough to be gone on with."""

    __slots__ = ("_blocks", "_bytes", "_texts", "identity", "plain")

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._bytes = 0
        self._texts: list[str] = []
        self.identity: dict[str, Any] = {}  # Of the first chunk, for all that come.
        self.plain = True  # Nothing but words of one choice.

    def take(self, block: bytes) -> None:
        """Whole events, as they were sent. They are read only when somebody asks, or when they are many."""
        self._blocks.append(block)
        self._bytes += len(block)
        if self._bytes > _RAW_BYTES_MAX:
            self._read()

    @property
    def text(self) -> str | None:
        """None when it is no plain text, or too long."""
        self._read()
        return "".join(self._texts) if self.plain else None

    def _read(self) -> None:
        blocks, self._blocks, self._bytes = self._blocks, [], 0
        for block in blocks:
            for event in events(block):
                self._take_event(event)
        if self.plain and sum(map(len, self._texts)) > KEPT_BYTES_MAX:
            self.plain = False
        self._texts = ["".join(self._texts)] if self.plain else []

    def _take_event(self, event: bytes) -> None:
        try:
            chunk = _chunks.decode(data_of(event))
        except msgspec.DecodeError:
            return  # A comment of the engine.
        if not self.identity:
            self.identity = {name: chunk[name] for name in _IDENTITY if name in chunk}
        for choice in chunk.get("choices") or ():
            text = _text_of(choice)
            if text is None:
                self.plain = False
            else:
                self._texts.append(text)


def _text_of(choice: dict[str, Any]) -> str | None:
    """The words of a chunk; None when it has anything but words of the first choice."""
    if choice.get("index", 0) != 0:
        return None
    if "text" in choice:
        return str(choice["text"] or "")
    delta = choice.get("delta") or {}
    if any(value is not None for name, value in delta.items() if name not in _PLAIN_DELTA):
        return None
    return str(delta.get("content") or "")


def may_go_on(body: bytes) -> bool:
    """Whether an answer to this request is plain text, so that another replica can go on with it."""
    fields = _fields.decode(body)
    if any(_given(fields, name) for name in (*_FORMS, *_NOT_PLAIN)):
        return False
    form = fields.get("response_format")
    if form is not None and _given(fields, "response_format") and b'"text"' not in bytes(form):
        return False
    if "messages" in fields:
        last = _message.decode(_messages.decode(fields["messages"])[-1])
        return bytes(last["role"]) != b'"assistant"' or bytes(last.get("content", b"")).startswith(b'"')
    return bytes(fields.get("prompt", b"")).lstrip().startswith(b'"')


def rest_of(body: bytes, text: str, generated: int) -> bytes | None:
    """The request for what is still to come; None when all that was asked for is there."""
    fields = _fields.decode(body)
    for name in _LIMITS:
        if _given(fields, name):
            left = int(msgspec.json.decode(fields[name])) - generated
            if left <= 0:
                return None
            fields[name] = raw(left)
    if not text:
        return _encoder.encode(fields)
    if "messages" in fields:
        fields["messages"] = raw(_with_answer(_messages.decode(fields["messages"]), text))
    else:
        fields["prompt"] = raw(msgspec.json.decode(fields["prompt"], type=str) + text)
    return _encoder.encode(fields)


def _with_answer(messages: list[msgspec.Raw], text: str) -> list[msgspec.Raw]:
    last = _message.decode(messages[-1])
    if bytes(last["role"]) != b'"assistant"':
        return [*messages, raw({"role": "assistant", "content": text})]
    last["content"] = raw(msgspec.json.decode(last["content"], type=str) + text)
    return [*messages[:-1], raw(last)]


def _given(fields: Fields, name: str) -> bool:
    value = fields.get(name)
    return value is not None and bytes(value).strip() not in (b"null", b"false", b"[]")


class Rest(StreamFollower):
    """Follows the stream of the rest, and gives its events the identity of the answer that was begun.

    `text`, `generated`: what was delivered, and how many tokens that was. An engine may repeat it before it goes on: so
    long a text from fewer tokens than it was made of can only be a repetition.
    """

    __slots__ = ("_generated", "_held", "_identity", "_raw", "_text", "_told")

    def __init__(self, identity: dict[str, Any], text: str, generated: int, *, strip_timings: bool) -> None:
        super().__init__(drop_usage=True, strip_timings=strip_timings, rename=None)
        self._raw = Splitter()
        self._identity = identity
        self._text = text  # What may still be repeated; empty once that is decided.
        self._generated = generated
        self._held: list[dict[str, Any]] = []  # Chunks that may be a repetition.
        self._told: Counts | None = None  # Its progress, when the last words were passed on.

    def feed(self, data: bytes) -> bytes:
        """As a follower does; event by event, so that the engine's count is that of each."""
        told = []
        for event in events(self._raw.feed(data)):
            block = super().feed(event)
            if block and (joined := self._joined(block)):
                told.append(joined)
                self._told = super().progress
        return b"".join(told)

    @property
    def progress(self) -> Counts | None:
        """Of what was passed on."""
        return self._told

    @property
    def cut(self) -> bool:
        return bool(self._raw.rest.strip()) or super().cut

    def _joined(self, event: bytes) -> bytes:
        try:
            chunk = _chunks.decode(data_of(event))
        except msgspec.DecodeError:
            return b""
        chunk |= self._identity
        for choice in chunk.get("choices") or ():
            if isinstance(choice.get("delta"), dict):
                choice["delta"].pop("role", None)
                if choice["delta"].get("content", "") is None:
                    choice["delta"].pop("content")
        if finishes(event):
            return self._release() + _event(chunk)
        if not any(_says_something(choice) for choice in chunk.get("choices") or ()):
            return b""
        if self._text:
            self._held.append(chunk)
            return self._decided()
        return _event(chunk)

    def _decided(self) -> bytes:
        """What is sent of the chunks that are held, now that one more of them came."""
        came = "".join(_text_of(choice) or "" for chunk in self._held for choice in chunk["choices"])
        if not came.startswith(self._text):
            return b"" if self._text.startswith(came) else self._release()
        progress = super().progress
        if progress is None or progress.output_tokens >= self._generated:
            return self._release()
        repeated, self._text = len(self._text), ""
        chunk, self._held = self._held[-1], []
        choice = chunk["choices"][0]
        if len(came) == repeated:
            return b""
        if "text" in choice:
            choice["text"] = came[repeated:]
        else:
            choice["delta"]["content"] = came[repeated:]
        return _event(chunk)

    def _release(self) -> bytes:
        """It is no repetition: the words are new."""
        held, self._held, self._text = self._held, [], ""
        return b"".join(_event(chunk) for chunk in held)


def _says_something(choice: dict[str, Any]) -> bool:
    return bool(choice.get("text") or choice.get("delta") or choice.get("logprobs"))


def ending(identity: dict[str, Any]) -> bytes:
    """The last chunk of an answer that is as long as it was asked to be, where its engine could not say so any more."""
    legacy = identity.get("object") == "text_completion"
    said: dict[str, Any] = {"text": "", "logprobs": None} if legacy else {"delta": {}}
    return _event({**identity, "choices": [{"index": 0, **said, "finish_reason": "length"}]})


def usage_chunk(identity: dict[str, Any], usage: dict[str, Any]) -> bytes:
    """The chunk that ends the stream of a client who asked for usage."""
    return _event({**identity, "choices": [], "usage": usage})


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + _encoder.encode(chunk) + b"\n\n"

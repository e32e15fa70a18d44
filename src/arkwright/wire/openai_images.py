"""The images (and films and sounds) of a chat request: where each is said to be, as raw JSON, so that no image within a
request is ever copied.

Looks into messages whose content is a list, and into nothing else.
"""

from collections.abc import Iterable

import msgspec

from arkwright.wire.openai_request import Message

DATA = b'"data:'
_LIST = ord("[")


_NULL = msgspec.Raw(b"null")


class _Part(msgspec.Struct):
    image_url: msgspec.Raw = _NULL
    video_url: msgspec.Raw = _NULL  # These two are no words of OpenAI's, but vLLM and others fetch them.
    audio_url: msgspec.Raw = _NULL


class _Image(msgspec.Struct):
    url: msgspec.Raw = _NULL


_parts = msgspec.json.Decoder(list[msgspec.Raw])
_part = msgspec.json.Decoder(_Part)
_image = msgspec.json.Decoder(_Image)
_text = msgspec.json.Decoder(str)


class NotAnImage(Exception):
    """A part that is not of OpenAI's shape."""


def may_have_images(messages: Iterable[Message], body: bytes) -> bool:
    """False for sure when there are none: most messages are plain words. A name may hide in escapes."""
    for message in messages:
        if memoryview(message.content)[0] == _LIST:
            return b'_url"' in body or b"\\u00" in body
    return False


def urls(messages: Iterable[Message]) -> list[msgspec.Raw]:
    """Each as a JSON string. Raises NotAnImage."""
    found = []
    for message in messages:
        if _first(message.content) != b"[":
            continue
        try:
            parts = [_part.decode(part) for part in _parts.decode(message.content) if _first(part) == b"{"]
        except msgspec.MsgspecError:
            raise NotAnImage from None
        for part in parts:
            given = (part.image_url, part.video_url, part.audio_url)
            found += [_url(one) for one in given if bytes(memoryview(one)[:4]) != b"null"]
    return found


def text(url: msgspec.Raw) -> str:
    """Raises NotAnImage."""
    try:
        return _text.decode(url)
    except msgspec.MsgspecError:
        raise NotAnImage from None


def _url(given: msgspec.Raw) -> msgspec.Raw:
    """OpenAI's `{"url": …}`, or the bare string that some servers take, too."""
    if _first(given) == b'"':
        return given
    try:
        return _image.decode(given).url
    except msgspec.MsgspecError:
        raise NotAnImage from None


def _first(value: msgspec.Raw) -> bytes:
    return bytes(memoryview(value)[:1])

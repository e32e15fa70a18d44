"""What is cut out of a long body is put back to the byte, and whatever a body says is still said."""

import json
from typing import Any

import pytest

from arkwright.basics.errors import InvalidInput
from arkwright.wire import long_body
from arkwright.wire.openai_request import CHAT, Request, raw, shapes

SHAPES = shapes(CHAT)
PICTURE = "data:image/png;base64," + "iVBORw0KGgo" * 4_000


def chat(content: Any, **fields: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content}], **fields}).encode()


def both_ways(body: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[Request, Request]:
    """As it is read, and as it would be without cutting."""
    short = Request(body, SHAPES)
    with monkeypatch.context() as patch:
        patch.setattr("arkwright.wire.openai_request.LONG_BYTES", 1 << 40)
        return short, Request(body, SHAPES)


@pytest.mark.parametrize(
    "body",
    [
        chat([{"type": "image_url", "image_url": {"url": PICTURE}}, {"type": "text", "text": 'what "is" it?'}], n=2),
        chat("hello " * 10_000, temperature=0.5),
        chat("line\n" * 10_000, unknown={"x": 1}),
        chat("x" * 40_000 + "\\" * 7 + '"' + "y" * 1_000),
        chat("x" * 40_000 + "\\" * 8 + '"' + "y" * 39_000),
        chat('"' * 5 + "x" * 40_000 + '"' * 5),
        chat("short", user="u" * 50_000),
        chat("\u00e9" * 20_000),
        chat("x" * 50_000).replace(b'"m"', b'"m", "model": "n"'),
    ],
)
def test_the_upstream_is_sent_the_same_bytes(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    short, whole = both_ways(body, monkeypatch)
    assert short.bytes_cut > long_body.CUT_BYTES_MIN
    assert whole.bytes_cut == 0
    changed = {"model": raw("up"), "stream": raw(True)}
    assert short.encode(short.fields | changed) == whole.encode(whole.fields | changed)
    assert (short.asked.n, short.asked.model, short.fields.keys()) == (
        whole.asked.n,
        whole.asked.model,
        whole.fields.keys(),
    )
    read = [sum(len(message.content) for message in request.asked.messages) for request in (short, whole)]
    assert read[0] <= read[1] <= read[0] + short.bytes_cut


@pytest.mark.parametrize(
    "body",
    [
        chat("x" * 50_000 + '"' + long_body._MARK.decode()),  # Whoever says what the mark says.
        chat("words").replace(b'"words"', b'"a"' + b" " * 60_000),  # Quiet, and no string.
        chat("words", ids=list(range(20_000))),
        chat("words " * 1_000),
        chat('say "it" ' * 10_000),
    ],
)
def test_what_is_not_cut_is_read_as_ever(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    short, whole = both_ways(body, monkeypatch)
    assert short.bytes_cut == 0
    assert short.encode(short.fields) == whole.encode(whole.fields)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (chat("x" * 50_000, n=0), "'n'"),
        (chat("x" * 50_000).replace(b'"user"', b'"nobody"'), "role"),
        (chat("x" * 50_000)[:-1], "could not parse"),
        (chat("x" * 50_000).replace(b"x" * 50, b"x" * 49 + b"\n"), "could not parse"),
        (b'{"model":"m","messages":' + b" " * 70_000 + b"}", "could not parse"),
    ],
)
def test_what_is_wrong_is_said_of_the_body_as_it_came(body: bytes, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as raised:
        Request(body, SHAPES)
    assert "cut out" not in raised.value.message

"""A foreign provider that speaks OpenAI's protocol truly, and misbehaves on request.

Stands in for an account elsewhere, which can't exist in a test; the same endpoints are tested on the real engine beside
it. How it behaves is in the model's name: `mock;tokens=5;prompt=10;cached=4;usage=none;die_after=3`.
"""

import asyncio
import json
from typing import Any

DEFAULTS: dict[str, Any] = {
    "tokens": 5,  # Output tokens of each choice.
    "prompt": 10,
    "cached": 0,
    "reasoning": 0,
    "usage": "end",  # end | last (in the chunk with the finish reason) | each | zero | none
    "gap_ms": 0,  # Between chunks.
    "wait_ms": 0,  # Before the head.
    "status": 200,
    "retry_after": 0,  # Seconds, in the head of an error.
    "code": "mock",  # Of an error.
    "fail_first": 0,  # So many requests fail with 503 before one succeeds.
    "die_after": -1,  # Close the socket after so many chunks.
    "error_after": -1,  # Send an error event after so many chunks.
    "done": 1,
    "split": 0,  # Write the stream in pieces of so many bytes.
    "close": 0,  # Close the connection after each answer.
    "pad": 0,  # Bytes of padding in each token.
    "garbage": 0,  # Answer 200 with something that is not JSON.
}


class OpenAIUpstream:
    """`async with OpenAIUpstream() as upstream: upstream.base_url`; `requests` holds what it was asked, in order."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.remembers = True  # Or nothing is kept: for hours of traffic.
        self.headers: list[dict[str, str]] = []
        self.generated: list[int] = []  # Tokens written, for each request, whoever read them.
        self.failed = 0
        self.open = 0  # Requests that it is at, and the most there ever were at once.
        self.open_most = 0
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def __aenter__(self) -> "OpenAIUpstream":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (
            ConnectionError,
            asyncio.IncompleteReadError,
            asyncio.CancelledError,
        ):  # The test is over, or the gateway.
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            return False
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        if self.remembers:
            self.requests.append(body)
        self.headers.append(headers)
        self.generated.append(0)
        index = len(self.generated) - 1
        self.open += 1
        self.open_most = max(self.open, self.open_most)
        try:
            return await self._answer_to(head, body, writer, index)
        finally:
            self.open -= 1

    async def _answer_to(self, head: str, body: dict[str, Any], writer: asyncio.StreamWriter, index: int) -> bool:
        how = behaviour(body["model"])
        await asyncio.sleep(how["wait_ms"] / 1000)
        if how["status"] != 200 or self.failed < how["fail_first"]:
            self.failed += 1
            status = how["status"] if how["status"] != 200 else 503
            error = {"message": f"mock says {status}", "type": "mock_error", "code": how["code"], "param": None}
            writer.write(_answer(status, json.dumps({"error": error}).encode(), how["retry_after"]))
        elif how["garbage"]:
            writer.write(_answer(200, b"<html>not JSON</html>"))
        elif body.get("stream"):
            return await self._stream(writer, body, how, index)
        else:
            self.generated[index] = how["tokens"] * body.get("n", 1)
            writer.write(_answer(200, json.dumps(_whole(head.split(" ")[1], body, how)).encode()))
        await writer.drain()
        return not how["close"]

    async def _stream(
        self, writer: asyncio.StreamWriter, body: dict[str, Any], how: dict[str, Any], index: int
    ) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for number, event in enumerate(_events(body, how)):
            if number == how["die_after"]:
                writer.transport.abort()
                return False
            if number == how["error_after"]:
                event = b'data: {"error": {"message": "mock broke", "type": "server_error"}}\n\n'
            for piece in _pieces(event, how["split"]):
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                if how["split"]:
                    await asyncio.sleep(0)
            self.generated[index] = min(number + 1, how["tokens"])
            await writer.drain()
            await asyncio.sleep(how["gap_ms"] / 1000)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return not how["close"]


def behaviour(model: str) -> dict[str, Any]:
    how = dict(DEFAULTS)
    for part in model.split(";")[1:]:
        name, _, value = part.partition("=")
        how[name] = type(DEFAULTS[name])(value)
    return how


def _usage(how: dict[str, Any], output: int) -> dict[str, Any]:
    if how["usage"] == "zero":
        return {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return {
        "prompt_tokens": how["prompt"],
        "completion_tokens": output,
        "total_tokens": how["prompt"] + output,
        "prompt_tokens_details": {"cached_tokens": how["cached"]},
        "completion_tokens_details": {"reasoning_tokens": how["reasoning"]},
    }


def _whole(path: str, body: dict[str, Any], how: dict[str, Any]) -> dict[str, Any]:
    if path.endswith("/embeddings"):
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        rows = [{"object": "embedding", "index": i, "embedding": [0.5, -0.5]} for i in range(len(texts))]
        usage = {"prompt_tokens": how["prompt"], "total_tokens": how["prompt"]}
        return {"object": "list", "model": body["model"], "data": rows, "usage": usage}
    words = " ".join(["tok"] * how["tokens"])
    choices = [
        {"index": i, "message": {"role": "assistant", "content": words}, "text": words, "finish_reason": "stop"}
        for i in range(body.get("n", 1))
    ]
    answer = {"id": "chatcmpl-mock", "object": "chat.completion", "model": body["model"], "choices": choices}
    if how["usage"] != "none":
        answer["usage"] = _usage(how, how["tokens"] * body.get("n", 1))
    return answer


def _events(body: dict[str, Any], how: dict[str, Any]) -> list[bytes]:
    def event(choices: list[dict[str, Any]], usage: object = None, timings: object = None) -> bytes:
        kind = "text_completion" if "prompt" in body else "chat.completion.chunk"
        chunk = {"id": "chatcmpl-mock", "object": kind, "model": body["model"], "choices": choices}
        if usage is not None:
            chunk["usage"] = usage
        if timings is not None and body.get("timings_per_token"):  # As llama.cpp writes them: last, without spaces.
            chunk["timings"] = timings
            return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"
        return b"data: " + json.dumps(chunk).encode() + b"\n\n"

    word = "tok " + "x" * how["pad"]
    said: dict[str, Any] = {"text": word} if "prompt" in body else {"delta": {"content": word}}
    events = [
        event(
            [{"index": 0, **said, "finish_reason": None}],
            _usage(how, number + 1) if how["usage"] == "each" else None,
            {"cache_n": how["cached"], "prompt_n": how["prompt"] - how["cached"], "predicted_n": number + 1},
        )
        for number in range(how["tokens"])
    ]
    wanted = (body.get("stream_options") or {}).get("include_usage")
    final = _usage(how, how["tokens"]) if how["usage"] in ("last", "each") else None
    events.append(event([{"index": 0, "delta": {}, "finish_reason": "stop"}], final))
    if wanted and how["usage"] in ("end", "zero"):
        events.append(event([], _usage(how, how["tokens"])))
    return [*events, b"data: [DONE]\n\n"] if how["done"] else events


def _pieces(event: bytes, size: int) -> list[bytes]:
    return [event[at : at + size] for at in range(0, len(event), size)] if size else [event]


def _answer(status: int, body: bytes, retry_after: int = 0) -> bytes:
    later = f"retry-after: {retry_after}\r\n" if retry_after else ""
    head = f"HTTP/1.1 {status} Mock\r\ncontent-type: application/json\r\n{later}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body

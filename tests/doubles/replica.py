"""A replica of an engine that goes on with answers, as llama.cpp does: the same words for the same prompt, everywhere.

Its words are numbered, and it refuses an answer that has a gap or a word twice: who joins two streams wrongly is found
out at once. It dies when a test tells it to, or by a kill: `python -m tests.doubles.replica PORT GAP_MS`.
"""

import asyncio
import json
import sys
from typing import Any

LENGTH = 40  # Of an answer that nobody bounds.


class Doom:
    """When streams die, whichever replica they are at: after so many words each, in the order in which they begin."""

    def __init__(self) -> None:
        self.cuts: list[int] = []

    def next(self) -> int | None:
        return self.cuts.pop(0) if self.cuts else None


def words_of(prompt: str, count: int) -> list[str]:
    """Words that a text can begin with and go on with, with signs of several bytes among them."""
    seed = sum(prompt.encode()) % 97
    return [f"{'é😀x'[index % 3]}{seed}.{index}\n" if index % 5 == 4 else f"w{seed}.{index} " for index in range(count)]


class Replica:
    """`async with Replica(doom) as replica: replica.base_url`."""

    def __init__(self, doom: Doom | None = None, *, gap_ms: float = 0, repeats: int = 0, port: int = 0) -> None:
        """`repeats`: it sends what was said once more before it goes on, in pieces of so many characters."""
        self._doom = doom or Doom()
        self._gap_s = gap_ms / 1000
        self._repeats = repeats
        self._port = port
        self._server: asyncio.Server | None = None
        self.requests: list[dict[str, Any]] = []
        self.generated = 0
        self.drop_end = False  # It dies after the last word and the finish reason, before usage and end.
        self.status = 200

    @property
    def base_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def __aenter__(self) -> "Replica":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if head.startswith("GET"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            return True
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.requests.append(body)
        if self.status != 200:
            writer.write(b"HTTP/1.1 %d No\r\ncontent-length: 2\r\n\r\n{}" % self.status)
            return True
        prompt, said = _said(body)
        words = words_of(prompt, 4000)
        done = _count(words, said)
        if done is None:
            error = json.dumps({"error": {"message": f"a gap or a word twice: {said!r}", "code": 400}}).encode()
            writer.write(b"HTTP/1.1 400 No\r\ncontent-length: %d\r\n\r\n%b" % (len(error), error))
            return True
        left = body.get("max_tokens") or LENGTH - done
        return await self._stream(writer, body, words[done : done + left], prompt, said, done)

    async def _stream(
        self, writer: asyncio.StreamWriter, body: dict[str, Any], words: list[str], prompt: str, said: str, done: int
    ) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        die_after, chunk = self._doom.next(), _Chunks(body, len(prompt.split()) + done)
        writer.write(chunk.role())
        if self._repeats and said:
            for at in range(0, len(said), self._repeats):
                writer.write(chunk.words(said[at : at + self._repeats], min(1, at)))
        for number, word in enumerate(words):
            if number == die_after:
                await writer.drain()
                writer.transport.abort()
                return False
            writer.write(chunk.words(word, number + 1))
            self.generated += 1
            if self._gap_s:
                await writer.drain()
                await asyncio.sleep(self._gap_s)
        writer.write(chunk.finish())
        if die_after == len(words):
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.transport.abort()
            return False
        writer.write(chunk.usage(len(words)) + b"0\r\n\r\n")
        await writer.drain()
        return True


class _Chunks:
    """As llama.cpp writes them."""

    def __init__(self, body: dict[str, Any], prompt_tokens: int) -> None:
        self._legacy = "prompt" in body
        self._prompt_tokens = prompt_tokens
        self._wanted = (body.get("stream_options") or {}).get("include_usage")
        self._identity = {
            "created": 1,
            "id": f"chatcmpl-{id(self)}",
            "model": body["model"],
            "object": "text_completion" if self._legacy else "chat.completion.chunk",
        }

    def role(self) -> bytes:
        return b"" if self._legacy else self._choice({"delta": {"role": "assistant", "content": None}})

    def words(self, text: str, predicted: int) -> bytes:
        said: dict[str, Any] = {"text": text} if self._legacy else {"delta": {"content": text}}
        return self._choice(said, timings={"cache_n": 0, "prompt_n": self._prompt_tokens, "predicted_n": predicted})

    def finish(self) -> bytes:
        said: dict[str, Any] = {"text": ""} if self._legacy else {"delta": {}}
        return self._choice(said, "length")

    def usage(self, output: int) -> bytes:
        told = b""
        if self._wanted:
            total = self._prompt_tokens + output
            counts = {"completion_tokens": output, "prompt_tokens": self._prompt_tokens, "total_tokens": total}
            told = _event({"choices": [], **self._identity, "usage": counts})
        return told + _framed(b"data: [DONE]\n\n")

    def _choice(self, said: dict[str, Any], finish: str | None = None, timings: dict[str, int] | None = None) -> bytes:
        chunk = {"choices": [{"finish_reason": finish, "index": 0, **said}], **self._identity}
        return _event(chunk if timings is None else {**chunk, "timings": timings})


def _event(chunk: dict[str, Any]) -> bytes:
    return _framed(b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n")


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _said(body: dict[str, Any]) -> tuple[str, str]:
    """The prompt, and what of the answer stands behind it."""
    if "prompt" in body:
        prompt, _, said = body["prompt"].partition("|")
        return prompt + "|", said
    messages = body["messages"]
    said = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
    if isinstance(said, list):
        said = "".join(part["text"] for part in said)
    return " ".join(message["content"] for message in messages if message["role"] != "assistant"), said


def _count(words: list[str], said: str) -> int | None:
    """How many words were said; None when it is not the beginning of the answer, cut between two words."""
    for count, word in enumerate(words):
        if not said:
            return count
        if not said.startswith(word):
            return None
        said = said.removeprefix(word)
    return None


async def _main() -> None:
    async with Replica(port=int(sys.argv[1]), gap_ms=float(sys.argv[2])):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())

"""One streamed chat answer, timed from outside: time to the first token, tokens a second."""

import asyncio
import json
import time
from dataclasses import dataclass

PROMPT = "Write a long story about a machine that spins cotton."


@dataclass(frozen=True)
class Timed:
    ttft_ms: float
    tokens: int
    seconds: float  # From the first token to the last.

    @property
    def tokens_per_second(self) -> float:
        return (self.tokens - 1) / self.seconds


async def stream(host: str, port: int, key: str, model: str, max_tokens: int) -> Timed:
    """Raises RuntimeError when the answer is not a 200."""
    body = json.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": PROMPT}],
            "max_tokens": max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    ).encode()
    reader, writer = await asyncio.open_connection(host, port)
    sent = time.perf_counter()
    writer.write(head + body)
    status = await reader.readline()
    if b" 200 " not in status:
        raise RuntimeError(f"{status.decode()} {(await reader.read(2000)).decode()}")
    first = last = 0.0
    tokens = 0
    async for line in reader:
        if b'"content":"' in line:
            last = time.perf_counter()
            first = first or last
        if b'"completion_tokens":' in line:
            tokens = int(line.split(b'"completion_tokens":')[1].split(b",")[0].rstrip(b"}"))
    writer.close()
    return Timed((first - sent) * 1000, tokens, last - first)

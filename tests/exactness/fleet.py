"""A fleet under fire: replicas in processes of their own, killed -9 and started anew, under streams of one gateway.

`python -m tests.exactness.fleet` (`make fleet-test`) is the long form, on real engines; the suite runs short ones.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec

from arkwright.basics.paths import default_model_store
from arkwright.basics.secrets import seal
from arkwright.domain.catalog import Target, Traits
from arkwright.domain.journal import Settled
from arkwright.domain.metering import Usage
from arkwright.engines import embedded
from arkwright.engines.launch import VARIABLE, Launch
from tests.doubles import gateway_host
from tests.doubles.gateway_host import POSTPAID, Answer, GatewayHost
from tests.doubles.replica import words_of

KEY = "private"
ENGINE = embedded.traits({})
WEIGHTS = default_model_store() / "smollm2-135m-instruct" / "SmolLM2-135M-Instruct.Q4_1.gguf"
READY_S = 60.0
STREAM_S = 180.0

Command = Callable[[int], tuple[list[str], dict[str, str]]]  # Of a port: what is started, with which variables.


class Process:
    """One replica. It keeps its port through all its lives."""

    def __init__(self, command: Command, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._command = command
        self._log = log
        self.lives = 0
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        argv, variables = self._command(self.port)
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(argv, env={**os.environ, **variables}, stdout=log, stderr=log)
        self.lives += 1

    def kill(self) -> None:
        if self._running is not None:
            with suppress(ProcessLookupError):
                self._running.send_signal(signal.SIGKILL)
            self._running.wait()
            self._running = None

    async def ready(self) -> None:
        """Until it is healthy."""
        deadline = time.monotonic() + READY_S
        async with httpx.AsyncClient(timeout=2) as client:
            while time.monotonic() < deadline:
                with suppress(httpx.HTTPError):
                    if (await client.get(f"http://127.0.0.1:{self.port}/health")).status_code == 200:
                        return
                await asyncio.sleep(0.02)
        raise AssertionError(self._log.read_text()[-2000:])


def double(gap_ms: int) -> Command:
    root = {"PYTHONPATH": str(Path(__file__).parents[2])}
    return lambda port: ([sys.executable, "-m", "tests.doubles.replica", str(port), str(gap_ms)], root)


def engine(data_dir: Path, parallel: int) -> Command:
    """llama.cpp as the embedded driver starts it."""

    def command(port: int) -> tuple[list[str], dict[str, str]]:
        launch = Launch(
            model_path=str(WEIGHTS), alias="words", kind="chat", port=port, key=KEY, parallel=parallel,
            context_tokens=512, threads=2, generation_threads=1, cache_mib=64, data_dir=str(data_dir),
        )  # fmt: skip
        variables = {VARIABLE: msgspec.json.encode(launch).decode(), "OMP_WAIT_POLICY": "passive"}
        return [sys.executable, "-m", "arkwright.engines.llama"], variables | {"ARKWRIGHT_PROCESS_NAME": f"e{port}"}

    return command


def targets(processes: list[Process], traits: Traits, key: str = "") -> list[Target]:
    sealed = seal(bytes(32), key) if key else b""
    return [
        Target(f"rep_{number}", "words", f"http://127.0.0.1:{process.port}/v1", "words", sealed, traits)
        for number, process in enumerate(processes)
    ]


@asynccontextmanager
async def fleet(root: Path, command: Command, count: int, traits: Traits, key: str = "") -> AsyncIterator["Fleet"]:
    """Replicas that are ready, and a gateway before them."""
    root.mkdir(parents=True, exist_ok=True)
    processes = [Process(command, root / f"replica-{number}.log") for number in range(count)]
    host = None
    try:
        for process in processes:
            process.start()
        await asyncio.gather(*(process.ready() for process in processes))
        snapshot = gateway_host.snapshot({"words": targets(processes, traits, key)}, context_tokens=512)
        host = await gateway_host.start(root / "gateway", snapshot)
        yield Fleet(host, processes)
    finally:
        if host is not None:
            await gateway_host.stop(host)
        for process in processes:
            process.kill()


class Fleet:
    """Streams through it, kills among them, and what must be true of the bills afterwards."""

    def __init__(self, host: GatewayHost, processes: list[Process]) -> None:
        self.host = host
        self.processes = processes
        self.answers: list[tuple[str, Answer]] = []  # With the prompt of each.
        self.kills = 0

    async def stream(
        self, prompt: str, tokens: int, *, on_part: Callable[[bytes], None] | None = None, **more: Any
    ) -> Answer:
        """One whole stream; `on_part` sees each part of it as it comes."""
        body = {
            "model": "words", "stream": True, "max_tokens": tokens, "temperature": 0,
            "stream_options": {"include_usage": True}, "messages": [{"role": "user", "content": prompt}], **more,
        }  # fmt: skip
        return await _post(self.host, json.dumps(body).encode(), on_part)

    async def stream_and_kill(self, prompt: str, tokens: int, cut: int, **more: Any) -> Answer:
        """The same, with its replica killed once so many words have come; it is started anew afterwards."""
        words = 0
        killed: list[Process] = []

        def arrived(part: bytes) -> None:
            nonlocal words
            words += part.count(b'"content":"')
            if words >= cut and not killed:
                killed.extend(process for number, process in enumerate(self.processes) if self._serves(number))
                assert len(killed) == 1, "one stream is at one replica"
                killed[0].kill()

        answer = await self.stream(prompt, tokens, on_part=arrived, **more)
        await self.host.quiet()
        for process in killed:
            process.start()
            await process.ready()
        return answer

    def _serves(self, number: int) -> bool:
        return self.host.worker.fleet.outstanding(f"rep_{number}") > 0

    async def storm(self, streams: int, seconds: float, kill_every_s: float, tokens: int, **more: Any) -> None:
        """So many streams at any time, for so long, one replica after the other killed and started anew."""
        until = time.monotonic() + seconds

        async def client(number: int) -> None:
            turn = 0
            while time.monotonic() < until:
                prompt = f"stream {number} turn {turn}"
                self.answers.append((prompt, await self.stream(prompt, tokens, **more)))
                turn += 1

        async def reaper() -> None:
            while time.monotonic() + kill_every_s < until:
                await asyncio.sleep(kill_every_s)
                process = self.processes[self.kills % len(self.processes)]
                process.kill()
                process.start()
                self.kills += 1

        await asyncio.gather(reaper(), *(client(number) for number in range(streams)))
        await self.host.quiet()

    def whole(self) -> list[tuple[str, Answer]]:
        """The streams that came to their end."""
        return [one for one in self.answers if one[1].status == 200 and one[1].body.endswith(b"data: [DONE]\n\n")]

    def failed(self) -> list[str]:
        """The others, in their own words."""
        whole = {id(answer) for _, answer in self.whole()}
        return [
            f"{prompt}: {answer.status} {answer.body[-300:].decode()}"
            for prompt, answer in self.answers
            if id(answer) not in whole
        ]

    def charges(self) -> dict[str, Settled]:
        """By the id that the client was told."""
        charges = self.host.settled()
        found = {f"req_{charge.event_id.hex()}": charge for charge in charges}
        assert len(found) == len(charges), "a request was charged twice"
        assert set(found) == {answer.headers["x-request-id"] for _, answer in self.answers if answer.status == 200}
        return found

    def nothing_left(self) -> None:
        """Nothing is held, nothing counts as under way."""
        assert [self.host.words.held(row) for row in range(4)] == [0] * 4
        fleet_ = self.host.worker.fleet
        assert [fleet_.outstanding(f"rep_{number}") for number in range(len(self.processes))] == [0] * len(
            self.processes
        )

    def outcomes(self) -> Counter[str]:
        return Counter(attempt.outcome for charge in self.host.settled() for attempt in charge.attempts)


def text_of(answer: Answer) -> str:
    chunks = [event for event in answer.events if event != "[DONE]"]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))


def made(charge: Settled) -> int | None:
    """What all replicas that had a part in the answer counted; None: it was one alone."""
    parts = [one.usage.output_tokens for one in charge.attempts if one.outcome in ("continued", "served")]
    return sum(parts) if parts else None


def bills_are_of_words(fleet_: Fleet, tokens: int) -> None:
    """For doubles: each text word by word, each bill to the token."""
    charges = fleet_.charges()
    for prompt, answer in fleet_.whole():
        assert text_of(answer) == "".join(words_of(prompt, tokens)), prompt
        charge = charges[answer.headers["x-request-id"]]
        assert charge.usage == Usage(len(prompt.split()), output_tokens=tokens)
        used = [
            attempt.usage.output_tokens for attempt in charge.attempts if attempt.outcome in ("continued", "served")
        ]
        assert not used or sum(used) == tokens


def bills_are_of_tokens(fleet_: Fleet, tokens: int) -> None:
    """For engines: every answer has as many tokens as it was asked for, and its bill says so."""
    charges = fleet_.charges()
    for prompt, answer in fleet_.whole():
        charge = charges[answer.headers["x-request-id"]]
        told = answer.events[-2]["usage"]
        assert charge.usage.all_output_tokens == told["completion_tokens"] == tokens, (prompt, charge)
        assert charge.usage.all_input_tokens == told["prompt_tokens"], (prompt, charge)
        assert charge.usage_source == "engine"
        delivered = [
            choice for event in answer.events[:-2] for choice in event["choices"] if choice["delta"].get("content")
        ]
        assert len(delivered) <= tokens
        used = [
            attempt.usage.output_tokens for attempt in charge.attempts if attempt.outcome in ("continued", "served")
        ]
        assert not used or sum(used) == tokens


async def _post(host: GatewayHost, body: bytes, on_part: Callable[[bytes], None] | None) -> Answer:
    async with host.connect() as (reader, writer), asyncio.timeout(STREAM_S):
        headers = {"authorization": f"Bearer {POSTPAID}", "content-length": str(len(body))}
        writer.write(gateway_host.head("POST", "/v1/chat/completions", headers) + body)
        raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        told = dict(line.split(": ", 1) for line in raw[1:] if line)
        status = int(raw[0].split(" ")[1])
        if "content-length" in told:
            return Answer(status, told, await reader.readexactly(int(told["content-length"])))
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
            if on_part is not None:
                on_part(parts[-1])
        return Answer(status, told, b"".join(parts))


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kill-every", type=float, default=2)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--doubles", action="store_true", help="Replicas that speak the protocol and compute nothing.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        command = double(50) if given.doubles else engine(root, -(-given.streams // given.replicas) * 2)
        async with fleet(root, command, given.replicas, ENGINE, "" if given.doubles else KEY) as fleet_:
            more = {} if given.doubles else {"ignore_eos": True}
            await fleet_.storm(given.streams, given.seconds, given.kill_every, given.tokens, **more)
            failed = fleet_.failed()
            print(f"streams {len(fleet_.answers)}, kills {fleet_.kills}, failed {len(failed)}")
            print("tries " + ", ".join(f"{word} {count}" for word, count in sorted(fleet_.outcomes().items())))
            for words in failed[:10]:
                print("  " + words)
            (bills_are_of_words if given.doubles else bills_are_of_tokens)(fleet_, given.tokens)
            fleet_.nothing_left()
            print("every bill equals the tokens that were delivered; nothing is held, nothing is under way")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

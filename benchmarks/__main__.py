"""`python -m benchmarks [--rounds N] [--seconds S] [--tokens T]`: one table of what the platform adds to its parts.

Everything runs on this machine, interleaved round by round, so that a noisy neighbour slows both sides alike; compare
the ratios, not the absolute figures.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil

from arkwright.engines.launch import VARIABLE, Launch
from benchmarks.streams import Timed, stream
from benchmarks.table import spread, table

MODEL = "smollm2-135m-instruct"
CONNECTIONS = 64
APPLIED = """
[[providers]]
name = "bench"
kind = "openai_compatible"
base_url = "http://127.0.0.1:{port}/v1"
api_key = "sk-bench"

[[models]]
name = "bench"
provider = "bench"
upstream_name = "mock"
context_tokens = 32768

[[prices]]
model = "bench"
currency = "USD"
input_per_million = "0.25"
cached_input_per_million = "0.05"
output_per_million = "2.00"

[[organizations]]
name = "bench"
class = "test"
billing = "prepaid"
top_up = "1000.00"

[[keys]]
organization = "bench"
project = "default"
secret = "{key}"
"""
KEY = "ak-bench-0123456789abcdef0123456789abcdef"


def arkwright(*arguments: str) -> Any:
    """Run the command line with `--json` and give back what it printed."""
    run = subprocess.run([sys.executable, "-m", "arkwright", *arguments], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"arkwright {' '.join(arguments)} failed:\n{run.stderr}")
    return json.loads(run.stdout) if run.stdout.strip() else None


@contextmanager
def platform() -> Iterator[dict[str, Any]]:
    """The whole platform with its default model and one gateway worker, in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="arkwright-bench-", ignore_cleanup_errors=True) as directory:
        up = ("up", "--detach", "--json", "--data-dir", directory, "--port", "0", "--workers", "1", "--model", MODEL)
        try:
            yield arkwright(*up)
        finally:
            subprocess.run([sys.executable, "-m", "arkwright", "down", "--data-dir", directory], check=False)


@contextmanager
def upstream() -> Iterator[int]:
    """The fast upstream; yields its port."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.upstream"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        yield int(child.stdout.readline())
    finally:
        child.stdin.close()
        child.wait()


def engine_of(started: dict[str, Any]) -> Launch:
    """How the platform's own engine was started: its port and key, so that it can also be asked directly."""
    for process in psutil.process_iter(["cmdline"]):
        if "arkwright.engines.llama" in (process.info["cmdline"] or ()):
            environment = process.environ()
            if environment.get("ARKWRIGHT_DATA_DIR") == started["data_dir"]:
                return msgspec.json.decode(environment[VARIABLE], type=Launch)
    raise SystemExit("the platform's engine was not found")


async def measure_streams(alone: Launch, port: int, key: str, rounds: int, tokens: int) -> list[tuple[Timed, Timed]]:
    """One stream at a time, the engine and the platform in turn; the first pair warms both up and is left out."""
    pairs = []
    for _ in range(rounds + 1):
        direct = await stream("127.0.0.1", alone.port, alone.key, alone.alias, tokens)
        through = await stream("127.0.0.1", port, key, MODEL, tokens)
        pairs.append((direct, through))
    return pairs[1:]


def load(port: int, key: str, model: str, seconds: float) -> dict[str, Any]:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello " * 85}]}).encode()
    request = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", "127.0.0.1", str(port), str(CONNECTIONS), str(seconds)],
        input=request,
        capture_output=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(run.stdout)
    if result["failures"]:
        raise SystemExit(f"the benchmark's requests failed: {result['first_failure']}")
    return result


def measure_gateway(started: dict[str, Any], port: int, rounds: int, seconds: float) -> list[tuple[Any, Any]]:
    """The upstream alone and through the gateway in turn; the gateway's CPU time is the operating system's word."""
    worker = next(
        p
        for p in arkwright("status", "--data-dir", started["data_dir"], "--json")["processes"]
        if p["name"] == "gateway-0"
    )
    process = psutil.Process(worker["pid"])
    pairs = []
    for _ in range(rounds + 1):
        direct = load(port, KEY, "bench", seconds)
        before = process.cpu_times()
        through = load(int(started["base_url"].split(":")[2].split("/")[0]), KEY, "bench", seconds)
        after = process.cpu_times()
        through["cpu_us"] = (after.user + after.system - before.user - before.system) / through["requests"] * 1e6
        pairs.append((direct, through))
    return pairs[1:]


def report_streams(pairs: list[tuple[Timed, Timed]]) -> str:
    rows = [
        ["engine alone", spread([d.tokens_per_second for d, _ in pairs]), spread([d.ttft_ms for d, _ in pairs])],
        [
            "through the platform",
            spread([t.tokens_per_second for _, t in pairs]),
            spread([t.ttft_ms for _, t in pairs]),
        ],
        [
            "ratio, difference",
            spread([t.tokens_per_second / d.tokens_per_second for d, t in pairs], ".3f"),
            spread([t.ttft_ms - d.ttft_ms for d, t in pairs], "+.2f"),
        ],
    ]
    return table(["one stream", "tokens/s, median (min to max)", "TTFT ms"], rows)


def report_gateway(pairs: list[tuple[Any, Any]]) -> str:
    rows = [
        [
            "upstream alone",
            spread([d["per_second"] for d, _ in pairs], ".0f"),
            spread([d["p50_us"] for d, _ in pairs], ".0f"),
            "-",
        ],
        [
            "through the gateway",
            spread([t["per_second"] for _, t in pairs], ".0f"),
            spread([t["p50_us"] for _, t in pairs], ".0f"),
            spread([t["cpu_us"] for _, t in pairs], ".0f"),
        ],
    ]
    head = [f"{CONNECTIONS} connections, 0.6 KB in, 1 KB out", "requests/s", "p50 us", "gateway CPU us a request"]
    return table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a load phase")
    parser.add_argument("--tokens", type=int, default=64, help="length of a streamed answer")
    given = parser.parse_args()
    with upstream() as port, platform() as started, tempfile.TemporaryDirectory() as directory:
        declared = Path(directory) / "bench.toml"
        declared.write_text(APPLIED.format(port=port, key=KEY))
        arkwright("apply", str(declared), "--data-dir", started["data_dir"], "--json")
        engine, gateway = engine_of(started), int(started["base_url"].split(":")[2].split("/")[0])
        streams = asyncio.run(measure_streams(engine, gateway, started["api_key"], given.rounds, given.tokens))
        sys.stdout.write(f"{report_streams(streams)}\n\n")
        sys.stdout.flush()
        sys.stdout.write(f"{report_gateway(measure_gateway(started, port, given.rounds, given.seconds))}\n")
    sys.stdout.write(
        f"\n{given.rounds} interleaved rounds, one gateway worker, {os.cpu_count()} cores shared by all.\n"
    )


if __name__ == "__main__":
    main()

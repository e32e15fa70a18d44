"""Control and the database are away under load: the data plane serves on, and afterwards the books agree to the pico.

    python -m tests.exactness.outage [--seconds N] [--how frozen|killed]

A whole platform with two gateway workers, a prepaid and a postpaid customer, whole answers, streams and a queue. Then
PostgreSQL is frozen, every process of it; control is frozen too, or killed, and can't come back without its database.
After so many seconds they may go on (`frozen`), or PostgreSQL dies without having said a word (`killed`).

Law: no request may fail, before, during or after; what was answered is what is charged, and nothing else.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import msgspec
import psutil

from arkwright.basics.paths import DataDir
from arkwright.domain.journal import Settled
from arkwright.host import supervisor_client
from arkwright.store.embedded import postmaster
from benchmarks.table import table
from tests.contract.platforms import Platform, running_platform
from tests.doubles.gateway_host import head, read_answer
from tests.doubles.journals import records_in
from tests.doubles.openai_upstream import OpenAIUpstream

How = Literal["frozen", "killed"]
HOWS: tuple[How, ...] = get_args(How)
KEYS = {"payer": "ak-payer-0123456789abcdef0123456789abcdef", "owner": "ak-owner-0123456789abcdef0123456789abcdef"}
MODELS = ("whole", "streamed", "queued")
CLIENTS = 12
CALM_S = 2.0  # Before and after.
SETTLED_S = 60.0
HEAD = """
[[providers]]
name = "upstream"
kind = "openai_compatible"
base_url = "{base_url}"

[[providers]]
name = "narrow"
kind = "openai_compatible"
base_url = "{base_url}"
options = {{ max_concurrent = 2 }}

[[organizations]]
name = "payer"
class = "external"
industry = "cars"
billing = "prepaid"
top_up = "1000.00"

[[organizations]]
name = "owner"
class = "external"
industry = "cars"
billing = "postpaid"
"""
EACH_MODEL = """
[[models]]
name = "{name}"
provider = "{provider}"
upstream_name = "mock;prompt=100;cached=20;tokens=10{how}"
context_tokens = 32768

[[prices]]
model = "{name}"
currency = "USD"
input_per_million = "0.25"
cached_input_per_million = "0.05"
output_per_million = "2.00"
"""
EACH_KEY = """
[[keys]]
organization = "{organization}"
project = "default"
secret = "{secret}"
"""
CHARGE_PICO = 80 * 250_000 + 20 * 50_000 + 10 * 2_000_000


class Report(msgspec.Struct):
    """What was served when, and what is wrong with it; empty `wrong`: nothing is."""

    how: How
    seconds: float
    answers: dict[str, int]  # Before, during, after.
    per_second: dict[str, float]
    slowest_ms: dict[str, float]
    settled_after_s: float = 0.0
    wrong: list[str] = []


class Traffic:
    """Clients that ask again and again. Each answer: whose, its request id, when it came, how long it took."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers: list[tuple[str, str, float, float]] = []
        self.broken: list[str] = []
        self.stopping = False

    async def client(self, number: int) -> None:
        organization, model = ("payer", "owner")[number % 2], MODELS[number % len(MODELS)]
        body = {"model": model, "stream": model == "streamed", "max_tokens": 10}
        message = json.dumps(body | {"messages": [{"role": "user", "content": "x" * 200}]}).encode()
        while not self.stopping:
            began = time.monotonic()
            try:
                request = await self._ask(KEYS[organization], message)
            except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
                self.broken.append(f"{model}: {error!r}")
                await asyncio.sleep(0.05)
            else:
                now = time.monotonic()
                self.answers.append((organization, request, now, now - began))

    async def _ask(self, key: str, message: bytes) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            headers = {"authorization": f"Bearer {key}", "content-length": str(len(message))}
            writer.write(head("POST", "/v1/chat/completions", headers) + message)
            answer = await read_answer(reader)
            if answer.status != 200:
                raise ValueError(f"status {answer.status}: {answer.body[:200]!r}")
            return answer.headers["x-request-id"]
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def run(platform: Platform, seconds: float, how: How) -> Report:
    """One outage of a platform that is up."""
    async with OpenAIUpstream() as upstream:
        await asyncio.to_thread(_declare, platform, upstream.base_url)
        traffic = Traffic(urlsplit(platform.base_url).port or 0)
        clients = [asyncio.create_task(traffic.client(number)) for number in range(CLIENTS)]
        marks = [time.monotonic()]
        await asyncio.sleep(CALM_S)
        marks.append(time.monotonic())
        frozen = await asyncio.to_thread(_stop, platform, how)
        await asyncio.sleep(seconds)
        marks.append(time.monotonic())
        _go_on(frozen, how)
        await asyncio.sleep(CALM_S)
        traffic.stopping = True
        await asyncio.gather(*clients)
        marks.append(time.monotonic())
    report = _report(traffic, marks, how, seconds)
    await _settled(platform, traffic, report)
    return report


def _declare(platform: Platform, base_url: str) -> None:
    text = HEAD.format(base_url=base_url)
    for name, provider, slow in zip(
        MODELS, ("upstream", "upstream", "narrow"), ("", ";gap_ms=5", ";wait_ms=10"), strict=True
    ):
        text += EACH_MODEL.format(name=name, provider=provider, how=slow)
    for organization, secret in KEYS.items():
        text += EACH_KEY.format(organization=organization, secret=secret)
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as declared:
        declared.write(text)
        declared.flush()
        platform.cli("apply", declared.name)


def _stop(platform: Platform, how: How) -> list[psutil.Process]:
    """Returns what is frozen, PostgreSQL's first process first."""
    paths = DataDir(Path(platform.data_dir))
    server = postmaster(paths.postgres)
    assert server is not None, "PostgreSQL does not run"
    pid = next(found.pid for found in supervisor_client.processes(paths.supervisor_socket) if found.name == "control")
    assert pid is not None, "control does not run"
    control, frozen = psutil.Process(pid), [server, *server.children(recursive=True)]
    if how == "killed":
        control.kill()
    else:
        frozen.append(control)
    for process in frozen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()
    return frozen


def _go_on(frozen: list[psutil.Process], how: How) -> None:
    for process in frozen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGCONT)


def _report(traffic: Traffic, marks: list[float], how: How, seconds: float) -> Report:
    answers, rates, slowest = {}, {}, {}
    for name, since, until in zip(("before", "during", "after"), marks, marks[1:], strict=False):
        came = [took for _, _, at, took in traffic.answers if since <= at < until]
        answers[name], rates[name] = len(came), len(came) / (until - since)
        slowest[name] = 1000 * max(came, default=0.0)
    wrong = [f"failed: {broken}" for broken in traffic.broken[:10]]
    if rates["during"] < 0.3 * rates["before"]:
        wrong.append(
            f"the data plane slowed down: {rates['before']:.0f} answers/s before, {rates['during']:.0f} during"
        )
    return Report(how, seconds, answers, rates, slowest, wrong=wrong)


async def _settled(platform: Platform, traffic: Traffic, report: Report) -> None:
    """Wait until the ledger has it all; then compare it with what clients were told."""
    began = time.monotonic()
    for organization in KEYS:
        mine = {request for whose, request, _, _ in traffic.answers if whose == organization}
        billed = await _billed(platform, organization, len(mine), began + SETTLED_S)
        if billed.get("charges") != len(mine) or _pico(billed["charged"]) != CHARGE_PICO * len(mine):
            report.wrong.append(f"{organization}: {len(mine)} answers, but billed {billed}")
    report.settled_after_s = time.monotonic() - began
    settled = [one for one in records_in(DataDir(Path(platform.data_dir)).journal) if isinstance(one, Settled)]
    if {f"req_{one.event_id.hex()}" for one in settled} != {request for _, request, _, _ in traffic.answers}:
        report.wrong.append("the journal has other requests than were answered")
    audit = await asyncio.to_thread(lambda: platform.cli("audit", "verify", check=False))
    if "Everything agrees" not in audit.stdout:
        report.wrong.append(audit.stdout[-2000:] + audit.stderr[-2000:])


async def _billed(platform: Platform, organization: str, charges: int, deadline: float) -> Any:
    """The bill, once it has so many charges and nothing is held any more; whatever it is at the deadline."""
    while True:
        billed = await asyncio.to_thread(_bill, platform, organization)
        done = billed and billed["charges"] >= charges and billed.get("held", "0.00") in ("0.00", None)
        if done or time.monotonic() > deadline:
            return billed
        await asyncio.sleep(0.2)


def _bill(platform: Platform, organization: str) -> Any:
    done = platform.cli("bill", "--organization", organization, "--json", check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def _pico(decimal: str) -> int:
    whole, _, fraction = decimal.partition(".")
    return int(whole) * 10**12 + int(fraction.ljust(12, "0"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--how", choices=HOWS, action="append")
    given = parser.parse_args()
    failed = False
    for how in given.how or HOWS:
        with running_platform("--workers", "2", "--model", "none") as platform:
            report = asyncio.run(run(platform, given.seconds, how))
        rows = [
            (name, str(report.answers[name]), f"{report.per_second[name]:.0f}", f"{report.slowest_ms[name]:.0f}")
            for name in report.answers
        ]
        print(f"\n{how} for {given.seconds:g} s; settled {report.settled_after_s:.1f} s after the last answer")
        print(table(("", "answers", "per second", "slowest, ms"), rows))
        print("\n".join(report.wrong) or "No request failed, and everything agrees.")
        failed |= bool(report.wrong)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

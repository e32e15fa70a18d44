"""Plain requests, 64 kept-alive connections: what `wrk` saw answered, and what the gateway's processes used for it.

Law: a single answer that is not a 200 makes the figure void, and the run says so.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway.installed import from_debian
from benchmarks.gateway.processes import PATH, Failed, Running, cores, on_core

CONNECTIONS = 64
_DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\nRESULT {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"failed":%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Plain:
    requests: int
    seconds: float
    p50_us: int
    p99_us: int
    cpu_s: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def per_cpu_second(self) -> float:
        return self.requests / self.cpu_s if self.cpu_s else 0.0

    @property
    def cpu_us(self) -> float:
        return self.cpu_s / self.requests * 1e6

    @property
    def share(self) -> float:
        """Of one core, while the load lasted."""
        return self.cpu_s / self.seconds


def body(model: str, bytes_wanted: int = 600) -> bytes:
    """A chat request of about that many bytes."""
    return json.dumps(
        {
            "model": model,
            "max_tokens": 400,
            "temperature": 0.7,
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": ("spin cotton " * (bytes_wanted // 12))[: max(0, bytes_wanted - 170)]},
            ],
        }
    ).encode()


def image_body(model: str, bytes_wanted: int) -> bytes:
    """A chat request with an inlined picture."""
    picture = "data:image/png;base64," + "iVBORw0KGgoAAAANSUhEUg" * (bytes_wanted // 22)
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": picture}}]
    asked = {"model": model, "max_tokens": 400, "messages": [{"role": "user", "content": content}]}
    return json.dumps(asked).encode()


def script(running: Running, content: bytes, directory: Path) -> Path:
    """The request as wrk takes it."""
    headers = {"content-type": "application/json", "accept": "application/json", **running.headers}
    lines = ['wrk.method = "POST"', *(f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items())]
    payload = directory / f"{running.port}-{len(content)}.json"
    payload.write_bytes(content)
    lines += [f'local file = io.open("{payload}", "rb")', 'wrk.body = file:read("*a")', "file:close()", _DONE]
    path = directory / f"{running.port}-{len(content)}.lua"
    path.write_text("\n".join(lines))
    return path


def measure(running: Running, lua: Path, seconds: float, *, connections: int = CONNECTIONS) -> Plain:
    """One phase of load."""
    core = cores()[1]
    wrk = from_debian("wrk", "wrk")
    url = f"http://127.0.0.1:{running.port}{PATH}"
    command = [wrk, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s", str(lua), url]
    before = running.cpu_s()
    run = subprocess.run(on_core(core, command), capture_output=True, text=True, check=True)
    used = running.cpu_s() - before
    line = next((line for line in run.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise Failed(f"wrk said nothing that can be read: {run.stdout[-200:]}{run.stderr[-200:]}")
    found = json.loads(line.removeprefix("RESULT "))
    if not found["requests"]:
        raise Failed(f"{running.name} answered nothing in {seconds:.0f} s")
    if found["failed"]:
        raise Failed(f"{running.name}: {found['failed']} of {found['requests']} requests failed")
    return Plain(found["requests"], found["duration_us"] / 1e6, found["p50_us"], found["p99_us"], used)

"""`arkwright reload` of a whole platform while it serves: no request fails, no stream is cut, each answer is billed."""

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from arkwright.basics.paths import DataDir
from arkwright.host import supervisor_client
from tests.contract.platforms import Platform, running_platform

MODEL = "smollm2-135m-instruct"
WORKERS = 2


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with running_platform("--workers", str(WORKERS), "--model", MODEL) as running:
        yield running


class Traffic:
    """Clients of several kinds until they are told to stop. `failed`: what went wrong, in words."""

    def __init__(self, platform: Platform) -> None:
        self._address = urlsplit(platform.base_url)
        self._headers = {"Authorization": f"Bearer {platform.api_key}", "Content-Type": "application/json"}
        self._stop = threading.Event()
        self.failed: list[str] = []
        self.served: Counter[str] = Counter()
        kinds = (self._plain, self._stream, self._listing, self._listing_anew, self._one)
        self._threads = [threading.Thread(target=self._until_stopped, args=(kind,)) for kind in kinds]

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _until_stopped(self, kind: Callable[[http.client.HTTPConnection], None]) -> None:
        """On one connection for as long as it is kept alive; a client that is told to come again does."""
        with contextlib.closing(http.client.HTTPConnection(self._address.netloc, timeout=60)) as connection:
            while not self._stop.is_set():
                try:
                    kind(connection)
                    self.served[kind.__name__] += 1
                except (OSError, http.client.HTTPException, AssertionError, ValueError) as error:
                    self.failed.append(f"{kind.__name__}: {error!r}")
                    connection.close()

    def _ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: object = None) -> bytes:
        connection.request(method, path, json.dumps(body) if body else None, self._headers)
        answer = connection.getresponse()
        whole = answer.read()
        assert answer.status == 200, (answer.status, whole[:200])
        return whole

    def _chat(self, connection: http.client.HTTPConnection, *, stream: bool) -> bytes:
        body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8, "stream": stream}
        return self._ask(connection, "POST", "/v1/chat/completions", body)

    def _plain(self, connection: http.client.HTTPConnection) -> None:
        assert json.loads(self._chat(connection, stream=False))["usage"]["completion_tokens"] > 0

    def _stream(self, connection: http.client.HTTPConnection) -> None:
        assert self._chat(connection, stream=True).endswith(b"data: [DONE]\n\n")

    def _listing(self, connection: http.client.HTTPConnection) -> None:
        assert json.loads(self._ask(connection, "GET", "/v1/models"))["data"]
        time.sleep(0.01)

    def _listing_anew(self, connection: http.client.HTTPConnection) -> None:
        connection.close()
        self._listing(connection)

    def _one(self, connection: http.client.HTTPConnection) -> None:
        self._ask(connection, "GET", "/v1/models/" + MODEL)
        time.sleep(0.05)


@pytest.mark.xdist_group("reload")
def test_reload_under_traffic_fails_nothing_and_bills_everything(platform: Platform) -> None:
    before = pids(platform)
    with Traffic(platform) as traffic:
        until_all_were_served(traffic)
        replaced = platform.cli_json("reload")["replaced"]
        until_all_were_served(traffic)
    assert traffic.failed == []
    assert set(replaced) == set(before)
    assert len(before) == WORKERS
    assert replaced == pids(platform)
    assert all(replaced[name] != before[name] for name in before)
    charges = traffic.served["_plain"] + traffic.served["_stream"]
    assert platform.cli_json("bill", "--organization", "default")["charges"] == charges


def pids(platform: Platform) -> dict[str, int | None]:
    found = supervisor_client.processes(DataDir(Path(platform.data_dir)).supervisor_socket)
    return {process.name: process.pid for process in found if process.name.startswith("gateway-")}


def until_all_were_served(traffic: Traffic) -> None:
    """Each kind once more, by whoever serves now; or until something fails."""
    seen, deadline = Counter(traffic.served), time.monotonic() + 60
    while any(
        traffic.served[kind] == seen[kind] for kind in ("_plain", "_stream", "_listing", "_listing_anew", "_one")
    ):
        assert time.monotonic() < deadline, "not served in time"
        if traffic.failed:
            return
        time.sleep(0.02)

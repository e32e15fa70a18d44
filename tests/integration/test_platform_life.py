"""A platform's life: up, a second up, down, and `kill -9` of each of its processes in turn.

Law of these tests: every kill is of a process that was serving, and service must come back by itself.
"""

import contextlib
import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from arkwright.basics.paths import DataDir
from arkwright.host import leftovers, lifeline, lock, supervisor_client
from arkwright.host.supervisor import ProcessInfo
from arkwright.store import health
from arkwright.store.embedded import postmaster
from tests.contract.platforms import Platform, arkwright, running_platform

BACK_WITHIN_S = 30.0
MODEL = "smollm2-135m-instruct"
answered: Counter[str] = Counter()  # Answers received in full, by platform.


@pytest.fixture(scope="module")
def living() -> Iterator[Platform]:
    with running_platform("--workers", "2", "--model", "none") as platform:
        yield platform


def until(met: Callable[[], Any], deadline_s: float = BACK_WITHIN_S) -> Any:
    deadline = time.monotonic() + deadline_s
    while not (found := met()):
        assert time.monotonic() < deadline, "not met in time"
        time.sleep(0.05)
    return found


def processes(platform: Platform) -> dict[str, ProcessInfo]:
    paths = DataDir(Path(platform.data_dir))
    with contextlib.suppress(Exception):
        return {process.name: process for process in supervisor_client.processes(paths.supervisor_socket)}
    return {}


def serves(platform: Platform) -> bool:
    """The data plane answers with the key, and the admin API (so control and database) behind the same port."""
    return all(
        _status(f"{url}", key) == 200
        for url, key in (
            (f"{platform.base_url}/models", platform.api_key),
            (f"{platform.base_url.removesuffix('/v1')}/admin/v1/organizations", platform.admin_key),
        )
    )


def answer(platform: Platform) -> str:
    """What the model says to a fixed prompt at temperature 0; empty while it is not served."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8, "temperature": 0}
    request = urllib.request.Request(  # noqa: S310
        f"{platform.base_url}/chat/completions",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {platform.api_key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as received:  # noqa: S310
            answered[platform.data_dir] += 1
            return str(json.load(received)["choices"][0]["message"]["content"])
    except urllib.error.HTTPError as error:
        error.close()
        return ""
    except OSError:
        return ""


def everything_is_ready(platform: Platform) -> bool:
    seen = processes(platform)
    return len(seen) >= 2 and all(process.ready for process in seen.values()) and serves(platform)


@pytest.mark.parametrize("name", ["gateway-0", "control", "postgres", "supervisor"])
@pytest.mark.xdist_group("living")
def test_service_comes_back_by_itself_after_kill_9(living: Platform, name: str) -> None:
    until(lambda: everything_is_ready(living))
    victim = _pid(living, name)
    os.kill(victim, signal.SIGKILL)

    until(lambda: _pid(living, name) not in (None, victim))
    until(lambda: everything_is_ready(living))

    assert json.loads(living.cli("status", "--json").stdout)["ready"] is True
    assert living.cli("doctor").returncode == 0
    # Nothing of the life before is left: no gateway or control process more than there should be.
    paths = DataDir(Path(living.data_dir))
    names = until(lambda: _names_if_settled(paths))
    assert names == ["control", "gateway-0", "gateway-1", "supervisor"]


@pytest.fixture(scope="module")
def serving() -> Iterator[Platform]:
    with running_platform("--workers", "1", "--model", MODEL) as platform:
        yield platform


@pytest.mark.xdist_group("serving")
def test_what_drains_finishes_its_stream_and_takes_no_new_request(serving: Platform) -> None:
    until(lambda: answer(serving))
    with _stream(serving, tokens=200) as received:
        began = received.readline()
        assert began.startswith(b"data: ")
        serving.cli_json("deployments", "drain", MODEL)
        assert answer(serving) == "", "a new request is refused"
        assert serving.cli_json("deployments", "show", MODEL)["desired"] == "draining"
        rest = received.read().decode().split("\n\n")
    answered[serving.data_dir] += 1
    assert rest[-2] == "data: [DONE]", "what ran was finished"
    assert any('"finish_reason":"' in event for event in rest[-4:])
    (replica,) = serving.cli_json("deployments", "show", MODEL)["replicas"]
    assert replica["state"] == "ready", "it stays loaded"
    until(lambda: serving.cli_json("deployments", "show", MODEL)["gap"] == "")
    serving.cli_json("deployments", "start", MODEL)
    assert answer(serving), "it serves again at once"


def _stream(platform: Platform, tokens: int) -> Any:
    question = "Tell a long story about a mill on a river."
    body = {"model": MODEL, "messages": [{"role": "user", "content": question}], "max_tokens": tokens, "stream": True}
    request = urllib.request.Request(  # noqa: S310
        f"{platform.base_url}/chat/completions",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {platform.api_key}", "Content-Type": "application/json"},
    )
    return urllib.request.urlopen(request, timeout=60)  # noqa: S310


@pytest.mark.parametrize("name", ["engine", "supervisor"])
@pytest.mark.xdist_group("serving")
def test_a_model_is_served_again_after_kill_9(serving: Platform, name: str) -> None:
    before = until(lambda: answer(serving))
    victim = until(lambda: _pid(serving, name))
    os.kill(victim, signal.SIGKILL)

    until(lambda: _pid(serving, name) not in (None, victim))
    assert until(lambda: answer(serving)) == before
    # Every answer that arrived was charged, each once.
    assert answered[serving.data_dir] >= 2
    assert serving.cli_json("bill", "--organization", "default")["charges"] == answered[serving.data_dir]


@pytest.mark.xdist_group("living")
def test_a_second_up_says_who_runs_and_ends_with_4(living: Platform) -> None:
    until(lambda: everything_is_ready(living))
    again = living.cli("up", "--detach", "--json", "--port", "0", check=False)
    assert again.returncode == 4
    assert "already runs" in again.stderr
    assert again.stdout == ""
    assert everything_is_ready(living)


def test_down_ends_everything_and_up_finds_everything_again(tmp_path: Path) -> None:
    with running_platform("--workers", "1", "--model", "none") as platform:
        paths = DataDir(Path(platform.data_dir))
        assert platform.api_key
        down = platform.cli("down", "--json")
        assert json.loads(down.stdout) == {"data_dir": platform.data_dir, "was_running": True, "leftovers": []}
        assert_nothing_is_left(paths)
        assert "Nothing runs" in platform.cli("down").stdout

        began = time.monotonic()
        up = platform.cli("up", "--detach", "--json", "--port", "0", "--workers", "1", "--model", "none")
        took_s = time.monotonic() - began
        later = json.loads(up.stdout)
        assert later["api_key"] is None  # Shown once, and it still works.
        assert later["admin_key"] == platform.admin_key
        assert _status(f"{later['base_url']}/models", platform.api_key) == 200
        assert took_s < 15  # Serving within 5 s on an idle machine; tests share theirs.


def test_down_heals_what_a_killed_supervisor_and_a_killed_control_left() -> None:
    with running_platform("--workers", "1", "--model", "none") as platform:
        paths = DataDir(Path(platform.data_dir))
        control, supervisor = _pid(platform, "control"), _pid(platform, "supervisor")
        # Both at once, and control first, so that nobody is left to start a new supervisor.
        os.kill(control, signal.SIGSTOP)
        os.kill(supervisor, signal.SIGKILL)
        os.kill(control, signal.SIGKILL)
        assert postmaster(paths.postgres) is not None
        down = json.loads(platform.cli("down", "--json").stdout)
        assert "postgres" in down["leftovers"]
        assert_nothing_is_left(paths)


def test_a_platform_on_a_database_of_one_s_own_starts_none_and_leaves_it_running(clean_database_url: str) -> None:
    environment = {"ARKWRIGHT_DATABASE_URL": clean_database_url}
    with running_platform("--workers", "1", "--model", "none", environment=environment) as platform:
        assert serves(platform)
        assert not DataDir(Path(platform.data_dir)).postgres.exists()
        os.kill(_pid(platform, "supervisor"), signal.SIGKILL)
        until(lambda: everything_is_ready(platform))
        assert not DataDir(Path(platform.data_dir)).postgres.exists()
        platform.cli("down")
    assert health.database_facts(clean_database_url).version >= health.VERSION_MIN


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    paths = DataDir(tmp_path / "data")
    argv = ["up", "--data-dir", str(paths.root), "--port", "0", "--workers", "1", "--model", "none"]
    with _foreground(argv) as up:
        assert up.stdout is not None
        for line in up.stdout:
            if "Ctrl-C stops everything" in line:
                break
        assert len(leftovers.find(paths)) == 3
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 130
    assert_nothing_is_left(paths)


def test_ctrl_c_while_it_starts_leaves_nothing_behind(tmp_path: Path) -> None:
    paths = DataDir(tmp_path / "data")
    argv = ["up", "--data-dir", str(paths.root), "--port", "0", "--workers", "1", "--model", "none"]
    with _foreground(argv) as up:
        until(lambda: lifeline.read_state(paths))
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 130
    assert_nothing_is_left(paths)


def test_a_start_that_fails_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    environment = {"ARKWRIGHT_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"}
    paths = DataDir(tmp_path / "data")
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        up = arkwright(
            "up", "--detach", "--json", "--data-dir", str(paths.root), "--port", "0", "--model", "none", check=False,
            timeout_s=300,
        )  # fmt: skip
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert up.returncode == 1
    assert up.stdout == ""
    assert "database" in up.stderr
    assert_nothing_is_left(paths)


def assert_nothing_is_left(paths: DataDir) -> None:
    assert leftovers.find(paths) == []
    assert postmaster(paths.postgres) is None
    assert lock.holder(paths.lock) is None
    assert not paths.control_socket.exists()
    assert not paths.supervisor_socket.exists()
    assert not paths.supervisor_state.exists()
    assert list(paths.ready.glob("*")) == []


@contextlib.contextmanager
def _foreground(arguments: list[str]) -> Iterator[Any]:
    import subprocess
    import sys

    up = subprocess.Popen([sys.executable, "-m", "arkwright", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        with up:
            yield up
    finally:
        if up.poll() is None:
            up.kill()
        arkwright("down", "--data-dir", arguments[2])


def _pid(platform: Platform, name: str) -> Any:
    paths = DataDir(Path(platform.data_dir))
    if name == "postgres":
        process = postmaster(paths.postgres)
        return process.pid if process else None
    if name == "supervisor":
        state = lifeline.read_state(paths)
        return state.pid if state else None
    for process in processes(platform).values():
        if process.name == name or process.name.startswith(f"{name}-dep_"):
            return process.pid
    return None


def _names_if_settled(paths: DataDir) -> list[str]:
    names = sorted(name for process, name in leftovers.find(paths) if process.status() != psutil.STATUS_ZOMBIE)
    return names if len(names) == 4 else []


def _status(url: str, key: str) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0

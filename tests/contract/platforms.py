"""Real platforms for tests: brought up by `arkwright up`, taken down by `arkwright down`, whatever happens between."""

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
import pytest

UP_TIMEOUT_S = 900  # The weights of the default models are downloaded when this user has none yet.


class Platform(msgspec.Struct, frozen=True):
    """What `up --detach --json` printed, and a way to run commands against it."""

    base_url: str
    api_key: str
    admin_key: str
    console_url: str
    models: list[str]
    data_dir: str
    pid: int

    def cli(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run `arkwright …` on this platform; with `check`, anything but success fails the test with its stderr."""
        return arkwright(*arguments, "--data-dir", self.data_dir, check=check)

    def cli_json(self, *arguments: str) -> Any:
        return json.loads(self.cli(*arguments, "--json").stdout)


def arkwright(*arguments: str, check: bool = True, timeout_s: float = 120) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-m", "arkwright", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if check and done.returncode != 0:
        pytest.fail(f"arkwright {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}\n{done.stdout}")
    return done


@contextmanager
def running_platform(*arguments: str, environment: dict[str, str] | None = None) -> Iterator[Platform]:
    """Bring one up in a temporary directory, and take it down, whatever the test does."""
    before = {name: os.environ.get(name) for name in environment or {}}
    os.environ.update(environment or {})
    try:
        with tempfile.TemporaryDirectory(prefix="arkwright-", ignore_cleanup_errors=True) as root:
            data_dir = str(Path(root) / "data")
            try:
                up = arkwright(
                    "up",
                    "--detach",
                    "--json",
                    "--data-dir",
                    data_dir,
                    "--port",
                    "0",
                    *arguments,
                    timeout_s=UP_TIMEOUT_S,
                )
                yield msgspec.json.decode(up.stdout, type=Platform)
            finally:
                arkwright("down", "--data-dir", data_dir)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

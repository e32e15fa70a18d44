"""Two platforms on one directory: the second hears who holds it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from arkwright.basics.errors import Conflict
from arkwright.host import lock


def test_the_second_hears_who_holds_the_directory_and_since_when(tmp_path: Path) -> None:
    held = lock.DirectoryLock.acquire(tmp_path / "lock")
    held.describe(port=8080)
    with pytest.raises(Conflict, match=rf"process {os.getpid()} since .* UTC, port 8080") as refused:
        lock.DirectoryLock.acquire(tmp_path / "lock")
    assert refused.value.code == "already_running"
    holder = lock.holder(tmp_path / "lock")
    assert holder is not None
    assert (holder.pid, holder.port) == (os.getpid(), 8080)

    held.release()
    assert lock.holder(tmp_path / "lock") is None
    lock.DirectoryLock.acquire(tmp_path / "lock").release()


def test_a_killed_holder_holds_nothing_and_the_one_that_waits_gets_it(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from arkwright.host.lock import DirectoryLock;"
        "held = DirectoryLock.acquire(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    argv = [sys.executable, "-c", script, str(tmp_path / "lock")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(Conflict):
            lock.DirectoryLock.acquire(tmp_path / "lock", wait_s=0.2)
        child.send_signal(signal.SIGKILL)
        began = time.monotonic()
        lock.DirectoryLock.acquire(tmp_path / "lock", wait_s=30).release()
        assert time.monotonic() - began < 10


def test_an_inherited_lock_lasts_until_the_heir_lets_go(tmp_path: Path) -> None:
    held = lock.DirectoryLock.acquire(tmp_path / "lock")
    heir = lock.DirectoryLock.inherit(tmp_path / "lock", os.dup(held.fd))
    held.release()
    assert lock.holder(tmp_path / "lock") is not None
    heir.release()
    assert lock.holder(tmp_path / "lock") is None

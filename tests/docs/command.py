"""`arkwright` for pages of many commands: loaded once, then forked for each, so that a page takes seconds.

What is run is the command line itself, in a process of its own, with the caller's arguments, folder, environment and
streams; only the time to import it is saved. `python -m tests.docs.command SOCKET` serves until its input ends.
"""

import json
import os
import select
import socket
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

_ARGUMENTS_BYTES_MAX = 200_000
_STUB = """#!{python} -SIs
import json, os, socket, sys
there = socket.socket(socket.AF_UNIX)
there.connect({path!r})
asked = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(there, [asked], [0, 1, 2])
there.shutdown(socket.SHUT_WR)
sys.exit(int(there.recv(8) or b"70"))
"""


@contextmanager
def quick_command(folder: Path) -> Iterator[None]:
    """Puts an `arkwright` into the folder."""
    path = folder / "command.sock"
    server = Popen([sys.executable, "-m", "tests.docs.command", str(path)], stdin=PIPE, stdout=PIPE)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        stub = folder / "arkwright"
        stub.write_text(_STUB.format(python=sys.executable, path=str(path)))
        stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
        yield
    finally:
        server.communicate()


def _serve(path: str) -> None:
    from arkwright.cli.main import build, main

    build()  # Whatever commands import is imported by now.
    with socket.socket(socket.AF_UNIX) as here:
        here.bind(path)
        here.listen()
        print("ready", flush=True)
        while here in select.select([here, sys.stdin], [], [])[0]:
            caller, _ = here.accept()
            with caller:
                _answer(caller, main)


def _answer(caller: socket.socket, main: object) -> None:
    asked, streams, _, _ = socket.recv_fds(caller, _ARGUMENTS_BYTES_MAX, 3)
    while piece := caller.recv(_ARGUMENTS_BYTES_MAX):
        asked += piece
    child = os.fork()
    if child == 0:
        _become(json.loads(asked), streams, main)
    for stream in streams:
        os.close(stream)
    caller.sendall(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


def _become(asked: list[object], streams: list[int], main: object) -> None:
    """The command, in the forked process; does not come back."""
    arguments, folder, environment = asked
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(str(folder))
    os.environ.clear()
    os.environ.update(environment)  # type: ignore[call-overload]
    sys.argv = ["arkwright", *arguments]  # type: ignore[misc]
    status = 70
    try:
        main()  # type: ignore[operator]
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve(sys.argv[1])

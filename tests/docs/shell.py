"""A shell in which a page's commands are typed, one after the other, as its reader would.

Law: the platform is the one of this session: the address that pages name leads to it, and so do its keys; an id that a
page cuts short (`req_…`) is the last one of its kind that was printed.
"""

import os
import re
import selectors
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

from tests.contract.platforms import Platform

DEADLINE_S = 60.0
_END = "\x1e"
_CUT_SHORT = re.compile(r"\b(ak-|adm-|[a-z]{2,6}_|ep-|ed25519:)…")
_PRINTED = re.compile(
    r"\b([a-z]{2,6}_(?=\w*\d)[0-9a-z]{20,}|ep-\d{14}-\w+|ed25519:[\w+/=]{40,}|(?:ak|adm)-[0-9a-f]{60,})"
)
_HERE = re.compile(r"\b(?:127\.0\.0\.1|localhost):8080\b")


class Failed(Exception):
    """A command failed; what it printed until then."""


class Shell:
    def __init__(self, platform: Platform, commands: Path, folder: Path) -> None:
        self._address = platform.base_url.removeprefix("http://").removesuffix("/v1")
        self._last = {"ak-": platform.api_key, "adm-": platform.admin_key}
        environment = {
            **os.environ,
            "PATH": f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "ARKWRIGHT_DATA_DIR": platform.data_dir,
            "ARKWRIGHT_KEY": platform.api_key,
            "ARKWRIGHT_ADMIN_KEY": platform.admin_key,
            "COLUMNS": "200",
        }
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> "Shell":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bash.kill()
        self._bash.communicate()

    def type(self, command: str) -> str:
        """What it printed. Raises Failed when it, or any command within it, fails: the shell ends at the first one."""
        assert self._bash.stdin is not None
        typed = self.meant(command).rstrip()
        self._bash.stdin.write(f"{{ {typed}\n}} < /dev/null\nprintf '{_END}'\n".encode())
        self._bash.stdin.flush()
        printed = self._read()
        for found in _PRINTED.finditer(printed):
            self._last[_kind(found.group())] = found.group()
        return printed

    def meant(self, text: str) -> str:
        """With this platform's address, and ids in full."""

        def whole(cut: re.Match[str]) -> str:
            return self._last.get(cut.group(1), cut.group(0))

        return _CUT_SHORT.sub(whole, _HERE.sub(self._address, text))

    def _read(self) -> str:
        """Up to the mark behind the command."""
        assert self._bash.stdout is not None
        deadline = time.monotonic() + DEADLINE_S
        output = b""
        with selectors.DefaultSelector() as ready:
            ready.register(self._bash.stdout, selectors.EVENT_READ)
            while not output.endswith(_END.encode()):
                if not ready.select(deadline - time.monotonic()):
                    raise Failed(f"nothing more came in {DEADLINE_S:.0f} s:\n{output.decode(errors='replace')}")
                piece = os.read(self._bash.stdout.fileno(), 65536)
                output += piece
                if not piece:
                    raise Failed(output.decode(errors="replace"))
        return output.decode(errors="replace").removesuffix(_END)


def _kind(identifier: str) -> str:
    """`req_01…` → `req_`: what stands before the part that no page can know."""
    return re.match(r"ed25519:|[a-z]+[_-]", identifier).group()  # type: ignore[union-attr]

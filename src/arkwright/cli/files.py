"""Texts that a command is given as files. Judges nothing but that they can be read."""

import sys
from pathlib import Path

from arkwright.basics.errors import InvalidInput


def read_text(file: Path) -> str:
    """Of a file, or of standard input for `-`. Raises InvalidInput, also for what is not UTF-8."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"cannot read {file}: it is not UTF-8 ({error.reason} at byte {error.start})") from None

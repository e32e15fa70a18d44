"""Options that every command understands, and how a failure leaves the program. Knows no command."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from arkwright.basics.errors import ArkwrightError

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_RUNNING = 3
EXIT_ALREADY_RUNNING = 4
EXIT_INTERRUPTED = 130

DataDirOption = Annotated[
    Path | None, Parameter(name="--data-dir", help="Directory of the platform; default: ARKWRIGHT_DATA_DIR, or yours.")
]
# Given in its place or by name; where `-o` is a file to write, it is spelt out.
OrganizationOption = Annotated[str, Parameter(name=["--organization", "-o"], help="Name or id.")]
JsonOption = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document.")]


def exit_code(error: ArkwrightError) -> int:
    """What a script can tell apart."""
    if error.code == "already_running":
        return EXIT_ALREADY_RUNNING
    if error.code == "not_running":
        return EXIT_NOT_RUNNING
    if error.code == "wrong_usage":
        return EXIT_USAGE
    return EXIT_FAILED

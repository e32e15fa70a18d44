"""`arkwright export`: the platform as a file that `apply` takes, without secrets."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from arkwright.basics.errors import InvalidInput
from arkwright.cli import tables
from arkwright.cli.options import JsonOption
from arkwright.cli.target import HERE, TargetOptions


def export(
    file: Annotated[Path | None, Parameter(help="Where to write it; default: standard output.")] = None,
    *,
    json_output: JsonOption = False,
    at: TargetOptions = HERE,
) -> None:
    """Write the platform's set-up as TOML, without secrets; with --json as one document that holds the text."""
    with at.client() as client:
        text = client.get_text("/export")
    if json_output:
        tables.print_json({"toml": text})
    elif file is None:
        print(text, end="")
    else:
        try:
            file.write_text(text)
        except OSError as error:
            raise InvalidInput(f"cannot write {file}: {error.strerror or error}") from None

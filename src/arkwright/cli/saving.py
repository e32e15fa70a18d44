"""What a platform streams, as a file: whole under its name, or not there."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from arkwright.cli import tables
from arkwright.cli.progress import Counted


def save(parts: Iterable[bytes], output: Path, *, json_output: bool) -> None:
    """Write it beside, then rename; tell its size. An interruption leaves what was there before."""
    draft = output.with_name(f".{output.name}.part")
    lines = size = 0
    try:
        with draft.open("wb") as file, Counted("bytes") as progress:
            for part in parts:
                file.write(part)
                lines += part.count(b"\n")
                size += len(part)
                progress.at(size, 0, f"{lines:,} lines")
        draft.replace(output)
    finally:
        with suppress(OSError):
            draft.unlink()
    answer = {"file": str(output), "lines": lines, "bytes": size}
    tables.show_fields(answer, json_output=json_output, fields=("file", "lines", "bytes"))

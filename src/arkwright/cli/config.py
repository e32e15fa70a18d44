"""`arkwright config`: the settings as this very command would run with them."""

import msgspec
from rich.table import Table

from arkwright.basics import settings
from arkwright.cli import tables
from arkwright.cli.options import DataDirOption, JsonOption


def config(*, json_output: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """Show every setting, its value, where it came from, and its meaning."""
    _, origins = settings.explain({"data_dir": str(data_dir) if data_dir else None})
    if json_output:
        print(msgspec.json.encode(origins).decode())
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("setting", "value", "from", "meaning"):
        table.add_column(column, overflow="fold")
    for origin in origins:
        value = ", ".join(origin.value) if isinstance(origin.value, tuple) else str(origin.value)
        table.add_row(origin.name, value or '""', origin.source, origin.meaning)
    tables.print_table(table)

"""`python -m docs.generate` writes `docs/reference/*.md` from the settings and the command line themselves."""

import json
import sys
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from arkwright.basics.settings import ENVIRONMENT_PREFIX, Settings, meaning_of
from arkwright.cli.main import build
from arkwright.control.declaration import TABLES
from arkwright.control.price_words import HigherTier, RuleSpec, WindowSpec
from arkwright.domain import journal
from arkwright.domain.metering import Circumstances, Usage
from arkwright.domain.pricing import ChargeLine
from arkwright.host.metric_names import METRICS

_RECORDS: tuple[type[msgspec.Struct], ...] = (
    journal.Opened, journal.Intent, journal.Settled, journal.Voided, Usage, ChargeLine, Circumstances, journal.Draw,
    journal.Attempt,
)  # fmt: skip
REFERENCE = Path(__file__).parent / "reference"
_PARTS: dict[str, type[msgspec.Struct]] = {
    "[[prices.tiers]]": HigherTier,
    "[[prices.rules]]": RuleSpec,
    "[prices.windows.NAME]": WindowSpec,
}
_NOTE = "<!-- Written by `make docs`; edit the code, not this file. -->\n\n"


def pages() -> dict[str, str]:
    """File name → text, for every generated page."""
    return {
        "settings.md": _NOTE + _settings(),
        "cli.md": _NOTE + _commands(),
        "platform-file.md": _NOTE + _platform_file(),
        "journal-records.md": _NOTE + _journal_records(),
        "metrics.md": _NOTE + _metrics(),
    }


def _settings() -> str:
    lines = [
        "# Settings",
        "",
        "From `arkwright.toml` in the data directory (or the file that `ARKWRIGHT_CONFIG` names), then from the",
        "environment, then from the command line; later wins. `arkwright config` prints what holds, and where it came",
        "from.",
        "",
        "| name | environment | default | meaning |",
        "|---|---|---|---|",
    ]
    for field in msgspec.structs.fields(Settings):
        default = msgspec.json.encode(field.default).decode()
        variable = ENVIRONMENT_PREFIX + field.name.upper()
        lines.append(f"| `{field.name}` | `{variable}` | `{default}` | {meaning_of(field)} |")
    return "\n".join(lines) + "\n"


def _metrics() -> str:
    lines = [
        "# Metrics",
        "",
        "`/metrics` of the gateway's port tells them to this machine, all workers and the control process of a host at",
        "once. `worker` is a worker's slot. Label values are bounded: beyond some hundreds, what is new is `other`.",
        "",
        "| name | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    lines += [f"| `{name}` | {one.kind} | {one.labels or '–'} | {one.meaning} |" for name, one in METRICS.items()]
    return "\n".join(lines) + "\n"


def _platform_file() -> str:
    lines = [
        "# The platform file",
        "",
        "What `arkwright apply FILE` brings a platform to, and `arkwright export` writes back (without secrets).",
        "Applying it again changes nothing. Something new gets the obvious default for what is left out; something",
        "that is there keeps its value. Amounts of money are decimal strings. What the format does not know is",
        "refused, with the line.",
    ]
    for table, kind in TABLES.items():
        lines += ["", f"## `[[{table}]]`", "", *_about(kind), *_fields(kind)]
    for part, kind in _PARTS.items():
        lines += ["", f"## `{part}`", "", *_about(kind), *_fields(kind)]
    return "\n".join(lines) + "\n"


def _journal_records() -> str:
    """What stands in the payloads; the bytes around them are told of in journal.md, by hand."""
    lines = [
        "# Records of the journal",
        "",
        "The payloads of [the journal](journal.md)'s frames, in MessagePack: a map from field names to values, and",
        "`type` with the record's tag. A field with its default may be left out; fields that a reader does not know",
        "are passed over. Moments (`…_us`) are microseconds since 1970 in UTC, amounts (`…_pico`) whole numbers of",
        "10⁻¹² of the currency unit, byte strings MessagePack's `bin`.",
    ]
    for kind in _RECORDS:
        tag = kind.__struct_config__.tag
        title = f"`{kind.__name__}`" + (f", tag `{tag}`" if tag else "")
        lines += ["", f"## {title}", "", *_about(kind), "| field | type | default |", "|---|---|---|"]
        for field in msgspec.structs.fields(kind):
            default = "–" if field.required else f"`{msgspec.json.encode(field.default).decode()}`"
            lines.append(f"| `{field.encode_name}` | {_kind(field.type)} | {default} |")
    return "\n".join(lines) + "\n"


def _kind(kind: Any) -> str:
    """An annotation as it stands on the wire."""
    parts = get_args(kind)
    if get_origin(kind) in (list, tuple):
        return f"array of {_kind(parts[0])}"
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_kind(part) for part in parts)
    return {bytes: "16 bytes", type(None): "nil"}.get(kind) or _type(kind)


def _about(kind: type[msgspec.Struct]) -> list[str]:
    text = (kind.__doc__ or "").strip()
    return [" ".join(text.split()), ""] if text and not text.startswith(kind.__name__) else []


def _fields(kind: type[msgspec.Struct]) -> list[str]:
    lines = ["| field | type | when left out |", "|---|---|---|"]
    for field in msgspec.structs.fields(kind):
        lines.append(f"| `{field.encode_name}` | {_type(field.type)} | {_left_out(field)} |")
    return lines


def _left_out(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "an error"
    value = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return "optional" if value in (msgspec.UNSET, None) else f"`{msgspec.json.encode(value).decode()}`"


def _type(kind: Any) -> str:
    """An annotation as a person reads it, without what only stands for "left out"."""
    parts = get_args(kind)
    if get_origin(kind) is Literal:
        return " or ".join(f"`{json.dumps(part)}`" for part in parts)
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_type(part) for part in parts if part not in (msgspec.UnsetType, type(None)))
    if get_origin(kind) is list:
        return f"list of {_type(parts[0])}"
    if get_origin(kind) is dict:
        return "table"
    names = {"str": "string", "int": "whole number", "bool": "true or false", "datetime": "date and time"}
    return str(names.get(kind.__name__, kind.__name__))


def _commands() -> str:
    began_as, sys.argv = sys.argv, ["arkwright"]  # Groups of commands are named after what the process was started as.
    try:
        text: str = build().generate_docs(output_format="markdown")
    finally:
        sys.argv = began_as
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def main() -> None:
    for name, text in pages().items():
        (REFERENCE / name).write_text(text)
        sys.stdout.write(f"wrote {REFERENCE.name}/{name}\n")


if __name__ == "__main__":
    main()

"""`python -m docs.generate` writes `docs/reference/*.md` from the settings and the command line themselves."""

import sys
from pathlib import Path

import msgspec

from arkwright.basics.settings import ENVIRONMENT_PREFIX, Settings, meaning_of
from arkwright.cli.main import build

REFERENCE = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by `make docs`; edit the code, not this file. -->\n\n"


def pages() -> dict[str, str]:
    """File name → text, for every generated page."""
    return {"settings.md": _NOTE + _settings(), "cli.md": _NOTE + _commands()}


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

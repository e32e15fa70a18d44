"""Options of a deployment or a provider as a person writes them: a line each, `name = value`.

Law: what `write` gives, `read` takes back as it was; a value that is JSON is one, and anything else is a text.
"""

import json
from collections.abc import Mapping
from typing import Any

from arkwright.basics.errors import InvalidInput

LINES_MAX = 50


def read(text: str) -> dict[str, Any]:
    """Raises InvalidInput that names the line."""
    found: dict[str, Any] = {}
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > LINES_MAX:
        raise InvalidInput(f"options: {LINES_MAX} lines at most", param="options")
    for line in lines:
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name:
            raise InvalidInput(f"options: {line[:80]!r} is no option: write name = value", param="options")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def write(options: Mapping[str, Any]) -> str:
    return "\n".join(f"{name} = {_written(value)}" for name, value in options.items())


def _written(value: Any) -> str:
    told = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value == value.strip() and "\n" not in value:
        try:
            json.loads(value)
        except ValueError:
            return value  # It can't be taken for anything else.
    return told

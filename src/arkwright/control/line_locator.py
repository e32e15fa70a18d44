"""In which line of a TOML text each table and key is. `tomllib` reads values but keeps no positions.

Law: meant for text that `tomllib` has accepted; it never judges, it only finds, and what it cannot find (a key inside
an inline table) has the line of what holds it.
"""

import re

Path = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_TOKEN = re.compile(r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|#.*|[\[\]{}]')


def lines_of(text: str) -> dict[Path, int]:
    """Path of each table and key → its line, from 1. `("models", 1, "name")`: key `name` of the second model."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}  # How many `[[…]]` of each path were seen.
    table: Path = ()
    state = _ValueState()
    for number, line in enumerate(text.split("\n"), start=1):
        if state.open:
            state.feed(line)
            continue
        header = _HEADER.match(line)
        key = _KEY.match(line)
        if key:
            path = (*table, *_parts(key.group(1)))
            for length in range(len(table) + 1, len(path) + 1):
                lines.setdefault(path[:length], number)
            state.feed(line[key.end() :])
        elif header:
            table = _table(header.group(2), header.group(1) == "[[", counts)
            lines.setdefault(table, number)
            lines.setdefault(table[:1], number)
    return lines


def _table(name: str, array: bool, counts: dict[Path, int]) -> Path:
    """The path of a header: each array of tables on the way is entered at its last element."""
    path: Path = ()
    parts = _parts(name)
    for position, part in enumerate(parts):
        path = (*path, part)
        if array and position == len(parts) - 1:
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path = (*path, counts[path] - 1)
    return path


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


class _ValueState:
    """Whether a value goes on in the next line: inside brackets or inside a string of several lines."""

    def __init__(self) -> None:
        self._depth = 0
        self._quote = ""

    @property
    def open(self) -> bool:
        return bool(self._quote) or self._depth > 0

    def feed(self, text: str) -> None:
        position = 0
        while position < len(text):
            if self._quote:
                end = _end_of_string(text, self._quote, position)
                if end < 0:
                    return
                self._quote, position = "", end
                continue
            token = _TOKEN.search(text, position)
            if token is None:
                return
            position = token.end()
            found = token.group()
            if found in ('"""', "'''"):
                self._quote = found
            elif found in "[{":
                self._depth += 1
            elif found in "]}":
                self._depth -= 1


def _end_of_string(text: str, quote: str, start: int) -> int:
    """Just behind the closing quotes, or -1. A backslash in a basic string takes the next character with it."""
    position = start
    while position < len(text):
        if quote == '"""' and text[position] == "\\":
            position += 2
        elif text.startswith(quote, position):
            return position + 3
        else:
            position += 1
    return -1

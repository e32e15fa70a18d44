"""Code blocks of a page, in order, and what its hidden comments say about them.

A block's language says what becomes of it. `console`: lines after `$ ` are commands, what follows is what they print;
`bash`: all of it is typed; `python`, `toml`, `json`, `sql`: read, or run. `text` is what something printed elsewhere.
`<!-- first: … -->` is typed without being shown; `<!-- not run: why -->` above a block leaves it out, for a reason.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

LANGUAGES = {"console", "bash", "python", "toml", "json", "sql", "text", "mermaid"}
_COMMENT = re.compile(r"<!-- (first|not run): ?(.*?)-->", re.DOTALL)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Command(msgspec.Struct, frozen=True):
    """`stated`: what the page says it prints; empty where it says nothing."""

    line: int
    typed: str
    stated: tuple[str, ...] = ()


class Block(msgspec.Struct, frozen=True):
    """`left_out`: why it is not run; empty for one that is."""

    line: int
    language: str
    text: str
    left_out: str = ""

    def commands(self) -> list[Command]:
        if self.language == "bash":
            return list(self._lines())
        found: list[tuple[int, list[str], list[str]]] = []
        going_on = False
        for number, line in enumerate(self.text.splitlines(), self.line):
            if going_on:
                found[-1][1].append(line)
            elif line.startswith("$ "):
                found.append((number, [line[2:]], []))
            else:
                assert found, f"line {number}: a console block begins with a command"
                found[-1][2].append(line)
            going_on = line.endswith("\\") and not found[-1][2]
        return [Command(line, "\n".join(typed), tuple(stated)) for line, typed, stated in found]

    def _lines(self) -> Iterator[Command]:
        """Command by command: a line, and those that bash says it goes on with."""
        typed: list[str] = []
        for number, line in enumerate(self.text.splitlines(), self.line):
            typed.append(line)
            whole = "\n".join(typed)
            if not line.endswith("\\") and _is_whole(whole):
                yield Command(number - len(typed) + 1, whole)
                typed = []
        assert not typed, f"line {self.line}: this goes on for ever: {typed}"


def blocks(page: Path) -> Iterator[Block]:
    """In order; hidden commands are `bash`."""
    text = page.read_text()
    marks = sorted([*_COMMENT.finditer(text), *_FENCE.finditer(text)], key=lambda mark: mark.start())
    left_out = ""
    for mark in marks:
        line = text.count("\n", 0, mark.start()) + 1
        if mark.group(1) == "not run" and mark.re is _COMMENT:
            left_out = mark.group(2).strip()
            assert left_out, f"{page.name}:{line}: not run, but why?"
        elif mark.re is _COMMENT:
            yield Block(line, "bash", mark.group(2))
        else:
            assert mark.group(1) in LANGUAGES, f"{page.name}:{line}: what language is {mark.group(1)!r}?"
            yield Block(line + 1, mark.group(1), mark.group(2), left_out)
            left_out = ""


def _is_whole(script: str) -> bool:
    checked = subprocess.run(["bash", "-n", "-c", script], capture_output=True, check=False)
    return checked.returncode == 0 and bool(script.strip())


def agrees(stated: tuple[str, ...], printed: str) -> bool:
    """Line by line, by words: numbers, dates and ids stand for any, `…` for anything."""
    lines = [_shape(line) for line in stated if line.strip()]
    pattern = r"\s*".join(_pattern(line) for line in lines)
    return re.search(pattern, _shape(printed)) is not None


_ID = re.compile(r"\b[a-z]+[_-][0-9a-z-]*\d[0-9a-z-]{7,}|ed25519:\S+|\b[0-9a-f]{32,}\b|\b(?:ak|adm|whsec)[-_]\w{8,}")
_NUMBER = re.compile(r"(?<![\w#])\d[\d.,:]*\b")


def _shape(text: str) -> str:
    return _NUMBER.sub("#", _ID.sub("ID", text))


def _pattern(line: str) -> str:
    words = [r"[\s\S]*?".join(map(re.escape, word.split("…"))) for word in line.split()]
    return r"\s+".join(words)

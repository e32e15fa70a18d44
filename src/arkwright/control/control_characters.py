"""Refuses control characters in whatever a caller writes, before any handler sees it.

Law: one place for every route. A NUL is nothing PostgreSQL can keep, and the others garble logs, files and terminals.
A path that holds one names nothing (404); a parameter or a field that does is refused by its name (400).
"""

import re
from typing import Any

import msgspec
from litestar import Request

from arkwright.basics.errors import InvalidInput, NotFound

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")  # A form's field may have several lines.
_SUSPECT = re.compile(rb"\\|\x7f|\xc2[\x80-\x9f]")  # JSON writes the others with a backslash, or is none.


async def refuse(request: Request[Any, Any, Any]) -> None:
    """Raises NotFound for a path, InvalidInput for a parameter, a form's field or a JSON body's field."""
    for value in request.path_params.values():
        if holds(str(value)):
            raise NotFound("there is nothing of that name: it holds a control character")
    for name, value in request.query_params.multi_items():
        if holds(name) or holds(str(value)):
            raise refusal(name)
    if request.method not in ("POST", "PUT", "PATCH"):
        return
    if request.content_type[0] == "application/x-www-form-urlencoded":
        for name, value in (await request.form()).multi_items():
            if holds(name) or (isinstance(value, str) and _BUT_LINES.search(value)):
                raise refusal(name)
        return
    body = await request.body()
    if _SUSPECT.search(body):
        _refuse_json(body)


def holds(text: str) -> bool:
    return _CONTROL.search(text) is not None


def place(value: Any, path: tuple[str | int, ...] = ()) -> tuple[str | int, ...] | None:
    """Where in a document the first text with a control character is; None: nowhere."""
    if isinstance(value, str):
        return path if holds(value) else None
    parts: Any = ()
    if isinstance(value, dict):
        named = next((key for key in value if holds(str(key))), None)
        if named is not None:
            return (*path, str(named))
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    return next((found for step, part in parts if (found := place(part, (*path, step))) is not None), None)


def refusal(field: str) -> InvalidInput:
    shown = _CONTROL.sub("?", field)[:200]
    return InvalidInput(f"{shown}: control characters cannot be used", param=shown)


def _refuse_json(body: bytes) -> None:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return  # No JSON: another route's own format, or an error that the route tells.
    found = place(document)
    if found is not None:
        raise refusal(".".join(str(step) for step in found) or "the body")

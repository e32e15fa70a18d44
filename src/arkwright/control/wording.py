"""Says in words what a decoder found wrong: which values there are, and how a moment is written."""

from typing import Any

import msgspec.inspect

MOMENT = "write 2026-11-23T00:00:00Z"
_MOMENT_TROUBLE = ("RFC3339", "expected `datetime")


def reworded(message: str, kind: Any = None, steps: tuple[str | int, ...] = ()) -> str:
    """The decoder's message, or a better one for what is at `steps` inside the type `kind`."""
    lowered = message.lower()
    if "enum value" in lowered and kind is not None and (values := _values(msgspec.inspect.type_info(kind), steps)):
        return f"{steps[-1]} must be {_either(values)}"
    if any(sign.lower() in lowered for sign in _MOMENT_TROUBLE):
        return f"not a moment: {MOMENT}"
    return message


def _either(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"


def _values(kind: Any, steps: tuple[str | int, ...]) -> list[str]:
    """The values of the literal type there; empty when there is none."""
    if isinstance(kind, msgspec.inspect.UnionType):
        return next((found for part in kind.types if (found := _values(part, steps))), [])
    if not steps:
        return [str(value) for value in kind.values] if isinstance(kind, msgspec.inspect.LiteralType) else []
    if isinstance(kind, msgspec.inspect.ListType):
        return _values(kind.item_type, steps[1:])
    if isinstance(kind, msgspec.inspect.StructType):
        return next((_values(field.type, steps[1:]) for field in kind.fields if field.encode_name == steps[0]), [])
    return []

"""Reads what a GGUF file says about itself: architecture, context, what it is for. Must never load its tensors."""

import mmap
import struct
from pathlib import Path
from typing import Any

import msgspec

from arkwright.basics.errors import InvalidInput
from arkwright.domain.catalog import ModelKind

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_POOLED = (1, 2, 3)  # Mean, CLS, last token; 0 is none, 4 is a reranker's score.


class Description(msgspec.Struct, frozen=True):
    """What a file says that nobody listed. `license` is empty where it says nothing."""

    architecture: str
    name: str
    license: str
    kind: ModelKind
    trained_context_tokens: int


def describe(path: Path) -> Description:
    """Raises InvalidInput for a file that is no GGUF model, or a broken one."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            values = _Reader(mapped).metadata()
    except (ValueError, KeyError, struct.error, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path.name} is no GGUF file that can be read ({error}); llama.cpp serves GGUF only"
        ) from error
    architecture = str(values.get("general.architecture", ""))
    context = values.get(f"{architecture}.context_length")
    if not isinstance(context, int) or context < 1:
        raise InvalidInput(f"{path.name} is a GGUF file but no language model: it states no context length")
    pooled = values.get(f"{architecture}.pooling_type") in _POOLED
    return Description(
        architecture=architecture,
        name=str(values.get("general.name", path.stem)),
        license=str(values.get("general.license", "")),
        kind="embedding" if pooled else "chat",
        trained_context_tokens=context,
    )


class _Reader:
    """Walks the key-value section; arrays (vocabularies) are stepped over, not kept."""

    def __init__(self, mapped: mmap.mmap) -> None:
        self._mapped = mapped
        self._at = 0

    def metadata(self) -> dict[str, Any]:
        if self._mapped[:4] != b"GGUF":
            raise ValueError("it does not start with GGUF")
        self._at = 4
        version, _, count = self._unpack("I"), self._unpack("Q"), self._unpack("Q")
        if version not in (2, 3):
            raise ValueError(f"its version is {version}")
        values = {}
        for _ in range(count):
            key = self._string()
            values[key] = self._value(self._unpack("I"))
        return values

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            return self._skip_array()
        return self._unpack(_SCALARS[kind])

    def _skip_array(self) -> None:
        kind, count = self._unpack("I"), self._unpack("Q")
        if kind in _SCALARS:
            self._at += struct.calcsize(_SCALARS[kind]) * count
            return
        for _ in range(count):
            self._value(kind)

    def _string(self) -> str:
        length = self._unpack("Q")
        if self._at + length > len(self._mapped):
            raise ValueError("it ends within a text")
        text = self._mapped[self._at : self._at + length]
        self._at += length
        return text.decode()

    def _unpack(self, form: str) -> Any:
        (value,) = struct.unpack_from(f"<{form}", self._mapped, self._at)
        self._at += struct.calcsize(form)
        return value

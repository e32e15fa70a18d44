"""A sentence and what is put into it, kept apart, so that whoever shows it can say it in another language.

Law: the sentence is written in the source, whole, as the argument of `say`; what data brings is a value, never a part
of the sentence. Told as text, it is English.
"""

from collections.abc import Mapping

import msgspec


class Said(msgspec.Struct, frozen=True):
    """`text` has a place `%(name)s` for each value."""

    text: str
    values: Mapping[str, str | int] = {}

    def __str__(self) -> str:
        return self.text % self.values if self.values else self.text

    def __bool__(self) -> bool:
        return bool(self.text)


NOTHING = Said("")


def say(text: str, **values: str | int) -> Said:
    """Marks the sentence for translation."""
    return Said(text, values)


def as_is(words: str) -> Said:
    """What data brings, in whatever language it is."""
    return Said("%(words)s", {"words": words}) if words else NOTHING


def mark(text: str) -> str:
    """The same for a text without values, which stays what it is."""
    return text

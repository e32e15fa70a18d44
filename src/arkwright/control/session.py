"""One caller's work in one database transaction, and the rules about names that every noun shares.

Law: an action does everything through its session's connection, so that several actions make one transaction (`apply`
relies on it), and tells what it did as a `Change`, which is also what the audit log keeps.
"""

import re
from typing import Any, Generic, Literal, TypeVar

import msgspec

from arkwright.basics.errors import InvalidInput, NotFound
from arkwright.store import changes as changes_store
from arkwright.store.database import Connection

PAGE_MAX = 200
_ID = re.compile(r"[a-z]+_[0-9a-z]{26}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,119}")


class Session(msgspec.Struct, frozen=True):
    """Who acts, on which transaction, and what the platform lends: its default currency and its master key."""

    connection: Connection
    actor: str
    currency: str
    master_key: bytes


class FieldChange(msgspec.Struct, frozen=True):
    old: Any
    new: Any


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an action did to one thing. `secret` is told this once and kept nowhere."""

    noun: str
    name: str
    action: Literal["create", "update", "unchanged", "delete"]
    id: str = ""
    fields: dict[str, FieldChange] = {}
    secret: str | None = None


T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list, keyed by the last id of the one before; never a count over everything."""

    data: list[T]
    has_more: bool
    last_id: str | None
    object: str = "list"


def page(rows: list[T], limit: int) -> Page[T]:
    """`rows` were asked for with one more than `limit`."""
    shown = rows[:limit]
    last_id = str(getattr(shown[-1], "id", "")) if shown else None
    return Page(shown, len(rows) > limit, last_id)


def given(fields: msgspec.Struct) -> dict[str, Any]:
    """The fields that the caller wrote; the ones left out stay as they are."""
    return {name: value for name, value in msgspec.structs.asdict(fields).items() if value is not msgspec.UNSET}


async def record(
    session: Session,
    noun: str,
    name: str,
    *,
    id: str,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    secret: str | None = None,
) -> Change:
    """The difference of two views of a thing, noted in the audit log when there is one. Views hold no secrets."""
    old, new = before or {}, after or {}
    fields = {
        field: FieldChange(old.get(field), new.get(field))
        for field in {**new, **old}
        if old.get(field) != new.get(field)
    }
    if before is None:
        action: Literal["create", "update", "unchanged", "delete"] = "create"
    elif after is None:
        action = "delete"
    else:
        action = "update" if fields else "unchanged"
    if action != "unchanged":
        await changes_store.record(
            session.connection,
            actor=session.actor,
            action=f"{noun}.{action}",
            subject=f"{noun} {name}",
            before=before,
            after=after,
            organization=_owner(id, new or old),
        )
    return Change(noun=noun, name=name, action=action, id=id, fields=fields, secret=secret)


def _owner(id: str, view: dict[str, Any]) -> str:
    """Whose a thing is: the id is an organization's, or the view says which one's it is; empty: the platform's."""
    if id.startswith("org_"):
        return id
    return str(view.get("organization_id") or view.get("organization") or "")


def title(text: str, param: str = "name") -> str:
    """A name for people (organization, project, key, login): printable, no slash, and no id in disguise."""
    printable = text.isprintable() and text == text.strip() and "/" not in text
    if not 1 <= len(text) <= 120 or not printable or _ID.fullmatch(text):
        raise InvalidInput(
            f"{param} {text[:130]!r} cannot be used: 1 to 120 printable characters, no slash, no blank at either end,"
            " not in the form of an id",
            param=param,
        )
    return text


def word(text: str, param: str = "name") -> str:
    """A name for machines (provider, deployment)."""
    if not _WORD.fullmatch(text) or _ID.fullmatch(text):
        raise InvalidInput(
            f"{param} {text[:130]!r} cannot be used: letters, digits, dot, dash and underscore, 120 at most, a letter"
            " or digit first, not in the form of an id",
            param=param,
        )
    return text


def model_name(text: str, param: str = "name") -> str:
    """What customers write in `model`: as `word`, with slashes, colons and @ inside."""
    if not _MODEL.fullmatch(text) or _ID.fullmatch(text):
        raise InvalidInput(
            f"{param} {text[:130]!r} cannot be used: letters, digits and . _ - : / @, 120 at most, a letter or digit"
            " first, not in the form of an id",
            param=param,
        )
    return text


def missing(noun: str, reference: str) -> NotFound:
    return NotFound(f"there is no {noun} {reference[:200]!r}", param=noun.replace(" ", "_"))

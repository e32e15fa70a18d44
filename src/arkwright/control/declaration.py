"""A declaration: the TOML file of `arkwright apply`, read into specs, with the line of everything in it.

Pure: text in, specs or an error that names the line out. Decides what may be written; does nothing about it.
"""

import difflib
import re
import tomllib
from typing import Any

import msgspec

from arkwright.basics.errors import ArkwrightError, InvalidInput
from arkwright.control import control_characters, wording
from arkwright.control.deployments import DeploymentSpec
from arkwright.control.discounts import DiscountSpec
from arkwright.control.endpoints import EndpointSpec
from arkwright.control.keys import KeySpec
from arkwright.control.limits import LimitSpec
from arkwright.control.line_locator import Path, lines_of
from arkwright.control.lots import LotSpec
from arkwright.control.members import MemberSpec
from arkwright.control.models import ModelSpec
from arkwright.control.organizations import OrganizationSpec
from arkwright.control.prices import PriceSpec, sound
from arkwright.control.profiles import ProfileFields
from arkwright.control.projects import ProjectSpec
from arkwright.control.providers import ProviderSpec
from arkwright.control.reservations import ReservationSpec

BYTES_MAX = 4 * 1024 * 1024
_FIELD = re.compile(r"`\$?\.?([^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")


class DeclaredOrganization(OrganizationSpec, kw_only=True, forbid_unknown_fields=True, rename={"class_": "class"}):
    """`top_up`: all that files ever credit to this organization, as a decimal string. `billing_profile`: whom its
    invoices are written to, such as `{ legal_name = "Acme", tax_name = "VAT", tax_rate_bp = 600 }`.
    """

    top_up: str | None = None
    billing_profile: ProfileFields | None = None


class DeclaredProject(ProjectSpec, kw_only=True, forbid_unknown_fields=True):
    organization: str


class DeclaredMember(MemberSpec, kw_only=True, forbid_unknown_fields=True):
    organization: str


class DeclaredKey(KeySpec, kw_only=True, forbid_unknown_fields=True):
    """`id` says which existing key is meant when names repeat; an export writes it where it must."""

    organization: str
    id: str | None = None


class DeclaredEndpoint(EndpointSpec, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Found by its id, or by its owner and name."""


class DeclaredLimit(LimitSpec, kw_only=True, forbid_unknown_fields=True):
    organization: str


class DeclaredLot(LotSpec, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Given once, however often the file is applied: the reference says whether it was."""

    organization: str


class DeclaredReservation(ReservationSpec, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Made once, however often the file is applied: the reference says whether it was."""

    organization: str


# The tables there are, in the order in which they are applied: what is referred to comes first.
TABLES: dict[str, type[msgspec.Struct]] = {
    "providers": ProviderSpec,
    "deployments": DeploymentSpec,
    "models": ModelSpec,
    "prices": PriceSpec,
    "organizations": DeclaredOrganization,
    "discounts": DiscountSpec,
    "projects": DeclaredProject,
    "members": DeclaredMember,
    "endpoints": DeclaredEndpoint,
    "keys": DeclaredKey,
    "limits": DeclaredLimit,
    "lots": DeclaredLot,
    "reservations": DeclaredReservation,
}


class Entry(msgspec.Struct, frozen=True):
    """One `[[table]]` of the file."""

    table: str
    index: int
    spec: Any


class Declaration:
    """The entries in the order to apply them; `located` puts a line to what goes wrong with one."""

    def __init__(self, text: str, *, drafts: bool = False) -> None:
        """Raises InvalidInput that begins with the line number. `drafts`: prices may be unsound still."""
        if len(text.encode()) > BYTES_MAX:
            raise InvalidInput(f"a declaration has at most {BYTES_MAX // 1024 // 1024} MiB")
        try:
            document = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InvalidInput(_syntax(error)) from None
        self._lines = lines_of(text)
        for name in document:
            if name not in TABLES:
                raise self._error((name,), f"unknown table {name!r}{_nearest(name, list(TABLES))}")
        unfit = control_characters.place(document)
        if unfit is not None:
            raise self._error(unfit, f"{unfit[0]}: {control_characters.refusal(str(unfit[-1])).message}")
        self.entries = [
            entry for table, kind in TABLES.items() for entry in self._entries(table, kind, document.get(table, []))
        ]
        self._refuse_repeats()
        for entry in self.entries:
            if isinstance(entry.spec, PriceSpec) and not drafts:
                self._refuse_unsound(entry)

    def located(self, entry: Entry, error: ArkwrightError) -> ArkwrightError:
        """The same error, with the line and the table it speaks of in front."""
        path: Path = (entry.table, entry.index, *_steps(error.param or ""))
        message = f"line {self._line(path)}: {entry.table}[{entry.index}]: {error.message}"
        return type(error)(message, code=error.code, param=error.param)

    def _entries(self, table: str, kind: type[msgspec.Struct], rows: Any) -> list[Entry]:
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self._error((table,), f"write {table} as [[{table}]]")
        return [Entry(table, index, self._spec(table, index, kind, row)) for index, row in enumerate(rows)]

    def _spec(self, table: str, index: int, kind: type[msgspec.Struct], row: dict[str, Any]) -> msgspec.Struct:
        known = [field.encode_name for field in msgspec.structs.fields(kind)]
        for key in row:
            if key not in known:
                raise self._error((table, index, key), f"{table}: unknown key {key!r}{_nearest(key, known)}")
        try:
            return msgspec.convert(row, kind)
        except msgspec.ValidationError as error:
            message = str(error)
            found = _FIELD.search(message)
            steps = _steps(found.group(1)) if found and " - at " in message else ()
            unknown = _UNKNOWN.search(message)
            if unknown:
                steps = (*steps, unknown.group(1))
            message = wording.reworded(message, kind, steps)
            if "got `float`" in message:
                message += '; write a decimal string such as "0.25", never a float'
            raise self._error((table, index, *steps), f"{table}: {message}") from None

    def _refuse_unsound(self, entry: Entry) -> None:
        """A price is judged before anything is changed; what its model lacks is found when it is applied."""
        try:
            sound(entry.spec)
        except InvalidInput as error:
            raise self.located(entry, error) from None

    def _refuse_repeats(self) -> None:
        """One thing declared twice would make the second of two runs differ from the first."""
        seen: dict[tuple[Any, ...], Entry] = {}
        for entry in self.entries:
            for identity in _identities(entry):
                if identity in seen:
                    first = self._line((entry.table, seen[identity].index))
                    raise self._error(
                        (entry.table, entry.index),
                        f"{entry.table}: declared already in line {first}{_HINTS.get(entry.table, '')}",
                    )
                seen[identity] = entry

    def _error(self, path: Path, message: str) -> InvalidInput:
        return InvalidInput(f"line {self._line(path)}: {message}", param=".".join(str(step) for step in path))

    def _line(self, path: Path) -> int:
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return 1


_HINTS = {"keys": "; keys of one project are told apart by their name or their secret"}


def _identities(entry: Entry) -> list[tuple[Any, ...]]:
    spec = entry.spec
    if entry.table == "prices":
        return [("prices", spec.model, spec.currency, spec.valid_from)]
    if entry.table == "discounts":
        return [("discounts", spec.organization, spec.model, spec.valid_from)]
    if entry.table in ("projects", "endpoints"):
        return [(entry.table, spec.organization, spec.name)]
    if entry.table == "members":
        return [("members", spec.organization, spec.login)]
    if entry.table == "limits":
        return [("limits", spec.organization, spec.project, spec.key, spec.endpoint, spec.model)]
    if entry.table in ("lots", "reservations"):
        return [(entry.table, spec.organization, spec.reference)]
    if entry.table != "keys":
        return [(entry.table, spec.name)]
    if spec.id is not None:
        return [("keys", "id", spec.id)]
    if isinstance(spec.secret, str):
        return [("keys", "secret", spec.secret)]
    return [("keys", "name", spec.organization, spec.project, spec.name)]


def _steps(path: str) -> tuple[str | int, ...]:
    """`tiers[0].above_input_tokens` → ("tiers", 0, "above_input_tokens")."""
    return tuple(int(step) if step.isdecimal() else step for step in re.split(r"[.\[\]]+", path) if step)


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"


def _syntax(error: Exception) -> str:
    """tomllib says `… (at line 3, column 5)`; every error here begins with its line."""
    found = re.search(r"^(.*) \(at line (\d+), column (\d+)\)$", str(error))
    if found:
        return f"line {found.group(2)}: {found.group(1)} (column {found.group(3)})"
    return f"line 1: this is not TOML: {error or type(error).__name__}"

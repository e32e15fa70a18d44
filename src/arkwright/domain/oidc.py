"""Whom an issuer's account may be here: by the domain of a verified address, and by a claim that names roles.

Law: an address counts only where the issuer says that it is verified; what nothing allows is refused.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from arkwright.domain.people import PLATFORM_ROLES
from arkwright.domain.tenancy import ROLES

LOGIN_LENGTH_MAX = 120
_VALUES_MAX = 500  # Of a claim, that are looked at.


class Grant(msgspec.Struct, frozen=True):
    """A role in an organization; `organization` empty: on the platform."""

    organization: str
    role: str


def grant(text: str) -> Grant:
    """`operator`, or `acme:admin`. Raises ValueError, in words."""
    organization, colon, role = text.rpartition(":")
    known = ROLES if colon else PLATFORM_ROLES
    if role not in known or (colon and not organization):
        raise ValueError(f"{text!r} is no role: write {', '.join(PLATFORM_ROLES)}, or ORGANIZATION:ROLE")
    return Grant(organization, role)


def mapping(entries: Iterable[str]) -> dict[str, Grant]:
    """Of `VALUE=ROLE`: what each value of the claim gives. Raises ValueError, in words."""
    found = {}
    for entry in entries:
        value, equals, role = entry.rpartition("=")
        if not equals or not value:
            raise ValueError(f"{entry!r} is no VALUE=ROLE")
        found[value] = grant(role)
    return found


def granted(known: Mapping[str, Grant], claim: Any) -> list[Grant]:
    """What the values of a claim give; a claim may be one text or a list of them."""
    values = [claim] if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return [known[value] for value in values[:_VALUES_MAX] if isinstance(value, str) and value in known]


def address(claims: Mapping[str, Any]) -> str:
    """The verified address, in small letters; empty when there is none."""
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str) or email.count("@") != 1:
        return ""
    return email.lower() if len(email) <= LOGIN_LENGTH_MAX and email.isprintable() and " " not in email else ""


def of_domain(email: str, domains: Iterable[str]) -> bool:
    """Whether the address is of one of these; no domains: any is."""
    wanted = [domain.lower().lstrip("@") for domain in domains]
    return not wanted or (email != "" and email.rpartition("@")[2] in wanted)


def strongest(grants: Iterable[Grant]) -> list[Grant]:
    """One role in each place: of several the one that is named first in the lists of roles."""
    order = {role: rank for rank, role in enumerate((*PLATFORM_ROLES, *ROLES))}
    best: dict[str, Grant] = {}
    for each in grants:
        if each.organization not in best or order[each.role] < order[best[each.organization].role]:
            best[each.organization] = each
    return list(best.values())

"""Who is asking: organizations, projects, members and keys, as the data plane sees them."""

from typing import Literal, get_args

import msgspec

from arkwright.domain.discounts import Discount

OrganizationClass = Literal["external", "internal", "test"]
Billing = Literal["prepaid", "postpaid"]
Role = Literal["admin", "member", "billing", "auditor"]
# What a key may be narrowed to: an API each. `models` is the list of them, which changes nothing and costs nothing.
KeyScope = Literal["chat", "completions", "embeddings", "models"]

ORGANIZATION_CLASSES: tuple[str, ...] = get_args(OrganizationClass)
BILLING_MODES: tuple[str, ...] = get_args(Billing)
ROLES: tuple[str, ...] = get_args(Role)
KEY_SCOPES: tuple[KeyScope, ...] = get_args(KeyScope)


class Organization(msgspec.Struct, frozen=True):
    """The payer. `class_` and `industry` are frozen onto every usage event, since the league tables rest on them."""

    id: str
    name: str
    class_: OrganizationClass
    industry: str
    billing: Billing
    currency: str
    lease_row: int  # Index of this organization's words in a host's lease file.
    disabled: bool = False
    discounts: tuple[Discount, ...] = ()  # Of now and to come.
    free_only: bool = False  # Never charged: what its lots do not cover is refused.
    overdue: bool = False  # Its invoices are, beyond their grace: requests are refused until it pays.


class Key(msgspec.Struct, frozen=True, omit_defaults=True):
    """One API key, found by the SHA-256 of its secret. `models` empty: every model."""

    id: str
    organization_id: str
    project_id: str
    models: frozenset[str] = frozenset()
    expires_at_us: int | None = None
    disabled: bool = False
    service_tiers: frozenset[str] = frozenset()  # Of its project, beside the default; empty: what the price names.
    scopes: frozenset[str] = frozenset()  # APIs that it may call; empty: all.

"""What each role may see and do. One table; a test walks every screen by every role.

Law: a right is asked for where a page is made and where a form is carried out, by the same name; what a person may not
do is neither shown nor carried out.
"""

from typing import Literal, get_args

from arkwright.console.viewer import PlatformRole, Viewer
from arkwright.domain.tenancy import Role

Right = Literal[
    "see_requests", "see_usage", "see_models", "play", "see_keys", "change_keys", "see_limits", "change_limits",
    "see_billing", "change_billing", "change_alerts", "see_prices", "change_prices", "see_leagues", "see_deployments",
    "change_deployments", "see_overview", "see_people", "change_people", "see_audit", "see_settings",
    "change_organizations", "see_account",
]  # fmt: skip

EVERYTHING: frozenset[Right] = frozenset(get_args(Right))
SEEING = frozenset(right for right in EVERYTHING if right.startswith("see_"))
# What belongs to the platform and to no organization: its own people have it, whatever role a customer's person has.
OF_PLATFORM: frozenset[Right] = frozenset(
    {"see_prices", "change_prices", "see_leagues", "see_deployments", "change_deployments", "see_overview",
     "see_settings", "change_organizations"}
)  # fmt: skip

_SEES_MONEY: frozenset[Right] = frozenset(
    {"see_requests", "see_usage", "see_models", "see_limits", "see_billing", "see_account"}
)

PLATFORM: dict[PlatformRole, frozenset[Right]] = {
    "operator": EVERYTHING,
    "billing": _SEES_MONEY | {"change_billing", "change_alerts", "see_prices", "change_prices", "see_leagues"},
    "auditor": SEEING,
    "": frozenset(),
}
ORGANIZATION: dict[Role, frozenset[Right]] = {
    "admin": EVERYTHING - OF_PLATFORM - {"change_billing"},
    "billing": _SEES_MONEY | {"change_alerts"},
    "auditor": SEEING - OF_PLATFORM,
    "member": frozenset(
        {"see_requests", "see_usage", "see_models", "play", "see_keys", "change_keys", "see_limits", "see_account"}
    ),
}


def on_platform(viewer: Viewer, right: Right) -> bool:
    """Whether this person has it over everything there is."""
    return right in PLATFORM[viewer.platform_role]


def within(viewer: Viewer, right: Right, organization_id: str) -> bool:
    """Whether this person has it in this organization."""
    member = viewer.membership(organization_id)
    return on_platform(viewer, right) or (member is not None and right in ORGANIZATION[member.role])


def anywhere(viewer: Viewer, right: Right) -> bool:
    """Whether there is any place where this person has it: what a menu shows."""
    return on_platform(viewer, right) or any(right in ORGANIZATION[each.role] for each in viewer.memberships)

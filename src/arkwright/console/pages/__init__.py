"""One file per page. A page is added here, in the order of the menu, and nowhere else.

A page's file has ROUTES, and SCREEN where the menu shows it.
"""

from types import ModuleType

from litestar.types import ControllerRouterHandler

from arkwright.console.pages import (
    account,
    audit,
    billing,
    deployments,
    first_call,
    invitations,
    invoices,
    jump,
    keys,
    leagues,
    ledger,
    limits,
    logs,
    models,
    oidc,
    organizations,
    overview,
    payments,
    people,
    playground,
    preferences,
    prices,
    providers,
    reports,
    requests,
    settings,
    sign_in,
    usage,
)
from arkwright.console.screen import Screen

PAGES: tuple[ModuleType, ...] = (
    overview,
    first_call,
    requests,
    usage,
    models,
    playground,
    keys,
    limits,
    billing,
    ledger,
    invoices,
    payments,
    prices,
    leagues,
    reports,
    deployments,
    providers,
    logs,
    organizations,
    people,
    invitations,
    audit,
    settings,
    account,
    jump,
    oidc,
    preferences,
    sign_in,
)

ROUTES: list[ControllerRouterHandler] = [route for page in PAGES for route in page.ROUTES]
SCREENS: tuple[Screen, ...] = tuple(page.SCREEN for page in PAGES if hasattr(page, "SCREEN"))

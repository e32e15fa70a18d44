"""The admin API's routes, one file per noun: thin, each calls one action. An endpoint is added here, nowhere else."""

from litestar.types import ControllerRouterHandler

from arkwright.control.routes import (
    admin_keys,
    audit,
    billing,
    bootstrap,
    changes,
    declarations,
    deployments,
    exports,
    keys,
    ledger,
    members,
    models,
    organizations,
    people,
    prices,
    projects,
    providers,
    reports,
    rerating,
    usage,
)

ROUTES: list[ControllerRouterHandler] = [
    *bootstrap.ROUTES,
    *organizations.ROUTES,
    *projects.ROUTES,
    *members.ROUTES,
    *keys.ROUTES,
    *billing.ROUTES,
    *ledger.ROUTES,
    *rerating.ROUTES,
    *usage.ROUTES,
    *reports.ROUTES,
    *providers.ROUTES,
    *deployments.ROUTES,
    *models.ROUTES,
    *prices.ROUTES,
    *declarations.ROUTES,
    *exports.ROUTES,
    *changes.ROUTES,
    *audit.ROUTES,
    *people.ROUTES,
    *admin_keys.ROUTES,
]

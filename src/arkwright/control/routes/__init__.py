"""The admin API's routes, one file per noun: thin, each calls one action. An endpoint is added here, nowhere else."""

from litestar.types import ControllerRouterHandler

from arkwright.control.routes import (
    billing,
    changes,
    declarations,
    deployments,
    keys,
    members,
    models,
    organizations,
    platform,
    prices,
    projects,
    providers,
)

ROUTES: list[ControllerRouterHandler] = [
    *platform.ROUTES,
    *organizations.ROUTES,
    *projects.ROUTES,
    *members.ROUTES,
    *keys.ROUTES,
    *billing.ROUTES,
    *providers.ROUTES,
    *deployments.ROUTES,
    *models.ROUTES,
    *prices.ROUTES,
    *declarations.ROUTES,
    *changes.ROUTES,
]

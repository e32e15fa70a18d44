"""One file per page. A page is added here, nowhere else."""

from litestar.types import ControllerRouterHandler

from arkwright.console.pages import overview, sign_in

ROUTES: list[ControllerRouterHandler] = [*overview.ROUTES, *sign_in.ROUTES]

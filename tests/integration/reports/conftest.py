"""The admin API on a clean database, with traffic of several customers in its journal."""

from tests.integration.control.conftest import Admin, admin, platform

__all__ = ["Admin", "admin", "platform"]

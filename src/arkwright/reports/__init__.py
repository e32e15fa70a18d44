"""Reports: one file each, registered here; each is then in the API, in the command line, and a CSV and HTML file.

Reads only, all of it in the caller's one transaction. Knows nothing of the admin API or of who asks.
"""

from arkwright.basics.errors import NotFound
from arkwright.reports import (
    cache_savings,
    capacity,
    errors,
    latency,
    margin,
    market,
    revenue_league,
    spend,
    token_league,
    tokens,
)
from arkwright.reports.report import Report

_REPORTS = (
    spend.REPORT,
    tokens.REPORT,
    cache_savings.REPORT,
    latency.REPORT,
    errors.REPORT,
    margin.REPORT,
    capacity.REPORT,
    token_league.REPORT,
    revenue_league.REPORT,
    market.REPORT,
)
REGISTRY: dict[str, Report] = {report.name: report for report in _REPORTS}


def named(name: str) -> Report:
    """Raises NotFound that lists the reports there are."""
    if name not in REGISTRY:
        raise NotFound(f"there is no report {name[:80]!r}; there is: {', '.join(REGISTRY)}", param="report")
    return REGISTRY[name]

"""Which limits a request counts in, and what its caller is told of them.

Decides nothing: `host.permits` does, in one step with the money.
"""

from typing import NamedTuple

from arkwright.basics.clock import datetime_from_us
from arkwright.basics.errors import ArkwrightError, LimitExceeded
from arkwright.basics.money import decimal_from_pico
from arkwright.domain.limits import DAY_US, PICO_PER_NANO, Limit, day_of, month_ends, nano, share
from arkwright.domain.tenancy import Key, Organization
from arkwright.gateway.state import State
from arkwright.host.limit_words import Line
from arkwright.host.permits import Group, Permits, Refusal
from arkwright.wire import openai_limits


class Coverage(NamedTuple):
    """The limits that a kind of request counts in, and the group that decides on them, line by line."""

    group: Group
    limits: tuple[Limit, ...]


class Limits:
    """Of one state: made anew with each snapshot."""

    def __init__(self, state: State, permits: Permits) -> None:
        self._state = state
        self._permits = permits

    def of(self, organization: Organization, key: Key, endpoint: str, model: str, endpoint_id: str = "") -> Coverage:
        """Worked out from all the organization's limits: to be kept for all requests of the kind."""
        covering = tuple(
            limit
            for limit in self._state.limits.get(organization.id, ())
            if limit.covers(key.project_id, key.id, endpoint, model, endpoint_id)
        )
        lines = [line_of(limit, self._state.hosts) for limit in covering]
        group = self._permits.group(organization.lease_row, lines, prepaid=organization.billing == "prepaid")
        return Coverage(group, covering)

    def header_lines(self, group: Group) -> bytes:
        """How the tightest windows stand now."""
        if not group.windows:
            return b""
        standing = self._permits.standing(group)
        return openai_limits.header_lines(standing[:3], standing[3:])


def line_of(limit: Limit, hosts: int) -> Line:
    """A limit as this host counts it. Budgets are not shared out: the ledger tells each host what all have spent."""

    def mine(cap: int | None) -> int | None:
        return None if cap is None else share(cap, hosts)

    return Line(
        limit.row,
        mine(limit.requests_per_minute),
        mine(limit.tokens_per_minute),
        mine(limit.concurrent_requests),
        None if limit.budget_daily_pico is None else limit.budget_daily_pico // PICO_PER_NANO,
        None if limit.budget_monthly_pico is None else limit.budget_monthly_pico // PICO_PER_NANO,
    )


def refused(
    refusal: Refusal, coverage: Coverage, currency: str, cost_pico: int, tokens: int, at_us: int
) -> ArkwrightError:
    """A refusal by a limit in words: which limit, its cap, what counts against it, and when to ask again."""
    limit, line = coverage.limits[refusal.line], coverage.group.lines[refusal.line]
    whose = limit.scope + (f" `{limit.name}`" if limit.name else "")
    wait_ms = refusal.retry_after_ms
    if refusal.kind in ("daily", "monthly"):
        cap_nano = line.daily_nano if refusal.kind == "daily" else line.monthly_nano
        return _over_budget(refusal, whose, cap_nano or 0, currency, cost_pico, at_us)
    assert wait_ms is not None, "only budgets have no end in sight"
    again = f"Please try again in {openai_limits.duration(wait_ms)}."
    if refusal.kind == "concurrent":
        return LimitExceeded(
            f"Limit of concurrent requests reached for {whose}: Limit {line.concurrent}, Used {refusal.used}. "
            f"Wait until one of them has ended. {again}",
            retry_after_ms=wait_ms,
            kind="requests",
        )
    unit, cap, wanted = (
        ("requests per min (RPM)", line.requests, 1)
        if refusal.kind == "requests"
        else ("tokens per min (TPM)", line.tokens, tokens)
    )
    return LimitExceeded(
        f"Rate limit reached for {whose} on {unit}: Limit {cap}, Used {refusal.used}, Requested {wanted}. {again}",
        retry_after_ms=wait_ms,
        kind=refusal.kind,
    )


def _over_budget(
    refusal: Refusal, whose: str, cap_nano: int, currency: str, cost_pico: int, at_us: int
) -> ArkwrightError:
    day = day_of(at_us)
    anew = datetime_from_us(DAY_US * (day + 1 if refusal.kind == "daily" else month_ends(day)))
    budget, spent, most = (_shown(amount) for amount in (cap_nano, refusal.used, nano(cost_pico)))
    message = (
        f"The {refusal.kind} budget of {whose} can't cover this request: of {budget} {currency}, {spent} are spent, "
        f"and it may cost up to {most}. "
    )
    if refusal.held:
        message += "Requests under way reserve the rest; try again when they have ended."
    else:
        message += f"It begins anew at {anew:%Y-%m-%dT%H:%M:%SZ}; or have it raised."
    return LimitExceeded(
        message, code="insufficient_quota", kind="insufficient_quota", retry_after_ms=refusal.retry_after_ms
    )


def _shown(nano_: int) -> str:
    return decimal_from_pico(nano_ * PICO_PER_NANO)

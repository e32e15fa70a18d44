"""What is wrong now: the facts are gathered here, the rules are in `domain/problems.py`.

`status`, `doctor`, the admin API and the console's overview tell what this tells, so that they tell the same.
"""

import asyncio
import contextlib
import shutil
import time
from datetime import UTC, datetime, timedelta

import msgspec

from arkwright.basics.errors import ArkwrightError
from arkwright.control import deployments, providers
from arkwright.control.platform import Platform
from arkwright.control.session import PAGE_MAX
from arkwright.domain import problems as rules
from arkwright.domain.problems import Facts, Gap, Level, Problem, Process, Upstream
from arkwright.domain.traffic import Passing
from arkwright.host import supervisor_client
from arkwright.store import checks, problems
from arkwright.store.database import Connection
from arkwright.store.quarantine import Quarantine


class ProblemView(msgspec.Struct, frozen=True, kw_only=True):
    """In English. `path`: the page of the console that shows more."""

    rule: str
    level: Level
    subject: str
    what: str
    why: str
    mend: str
    path: str


async def found(platform: Platform) -> list[Problem]:
    """What fires comes first."""
    return rules.found(await gathered(platform))


async def listing(platform: Platform) -> list[ProblemView]:
    return [
        ProblemView(
            rule=each.rule,
            level=each.level,
            subject=each.subject,
            what=str(each.what),
            why=str(each.why),
            mend=str(each.mend),
            path=each.path,
        )
        for each in await found(platform)
    ]


async def gathered(platform: Platform) -> Facts:
    """Raises Unavailable, or psycopg's OperationalError, without a database."""
    at, health, paths = datetime.now(UTC), platform.health, platform.settings.paths
    processes, damages, free = await asyncio.gather(
        _processes(platform),
        asyncio.to_thread(Quarantine(paths.quarantine).counts),
        asyncio.to_thread(shutil.disk_usage, paths.root),
    )
    figures, passing = health.figures(at), health.passing()
    slots = [slot for slot in platform.words.slots() if slot.alive]
    late = sum(slot.loaded_version < platform.words.snapshot_version for slot in slots)
    async with platform.reading() as connection:
        checked = await checks.last(connection)
        gaps, upstreams = await _serving(connection, passing)
        return Facts(
            stalled=dict(platform.settler.stalled),
            damages=damages,
            quarantine=str(paths.quarantine),
            gaps=gaps,
            upstreams=upstreams,
            book_findings=None if checked is None else len(checked.findings) + checked.omitted,
            first_finding=f"{checked.findings[0].name}: {checked.findings[0].subject}"
            if checked is not None and checked.findings
            else "",
            checked_h=None if checked is None else (at - checked.checked_at).total_seconds() / 3600,
            sealed_days=await problems.sealed_days_ago(connection),
            unpriced=await problems.unpriced(connection),
            low=await problems.low_balances(connection, _hour(at) - timedelta(hours=24)),
            unsettled_bytes=health.behind.unsettled_bytes,
            unsettled_s=health.behind.unsettled_s,
            workers=len(slots),
            workers_ready=figures.workers_ready if figures.seconds else len(slots),
            workers_behind=late,
            behind_s=platform.health.behind_for(late > 0, time.monotonic()),
            processes=processes,
            disk_free=free.free,
            disk=str(paths.root),
            failed_share_bp=figures.failed_share_bp,
            requests_per_s=figures.requests_per_s,
            webhooks=await problems.failing_webhooks(connection),
        )


async def _serving(connection: Connection, passing: dict[str, Passing]) -> tuple[list[Gap], list[Upstream]]:
    """The gaps of deployments, and everybody's breaker."""
    deployed = (await deployments.listing(connection, "", PAGE_MAX, passing)).data
    accounts = (await providers.listing(connection, "", PAGE_MAX)).data
    upstreams = [Upstream("provider", each.name, passing[each.id].breaker) for each in accounts if each.id in passing]
    upstreams += [
        Upstream("deployment", each.name, replica.passing.breaker)
        for each in deployed
        for replica in each.replicas
        if replica.passing is not None and replica.desired == each.desired == "running"
    ]
    gaps = [
        Gap(each.name, each.desired, each.why, any(replica.state == "failed" for replica in each.replicas))
        for each in deployed
        if each.why
    ]
    return gaps, upstreams


async def _processes(platform: Platform) -> list[Process]:
    """None when no supervisor answers: each role may be run by something else."""
    with contextlib.suppress(ArkwrightError):
        listed = await supervisor_client.aprocesses(platform.settings.paths.supervisor_socket)
        return [Process(each.name, each.state, each.restarts, each.last_exit) for each in listed]
    return []


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)

"""What is wrong with a platform, by what is known of it: what happened, why, what to do, and where to look.

Law: each rule is one function of `Facts`; a fact that nobody could read (None) is no problem, nor is all well:
whoever gathers the facts says what could not be read. Everything that tells of problems tells these.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from arkwright.basics.money import decimal_from_pico
from arkwright.basics.saying import NOTHING, Said, as_is, say

Level = Literal["firing", "warning"]
DISK_FREE_MIN = 2 * 1024**3
UNSETTLED_MAX_S = 60.0
SNAPSHOT_BEHIND_MAX_S = 5.0
CHECK_MAX_H = 26
SEAL_MAX_DAYS = 2  # Yesterday is sealed today; the day before it must be.
FAILED_SHARE_BP = 500
REQUESTS_MIN_PER_S = 0.1
RESTARTS_MAX = 3
SHOWN_MAX = 20  # Of one rule.


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """`rule`: a word. `subject`: what it is about, so that one problem is known from another. `path`: the page of the
    console, below its root, that shows more.
    """

    rule: str
    level: Level
    what: Said
    why: Said
    mend: Said
    path: str
    subject: str = ""


class Gap(msgspec.Struct, frozen=True):
    """Of a deployment. `failed`: a replica of it is given up until somebody mends it; else it may be on its way."""

    name: str
    desired: str
    why: Said
    failed: bool = False


class Upstream(msgspec.Struct, frozen=True):
    """Who a breaker belongs to: `noun` is provider or deployment."""

    noun: Literal["provider", "deployment"]
    name: str
    breaker: str


class Low(msgspec.Struct, frozen=True):
    """A prepaid organization that has less than it used in the last day."""

    name: str
    currency: str
    balance_pico: int
    spent_pico: int


class Process(msgspec.Struct, frozen=True):
    name: str
    state: str
    restarts: int
    last_exit: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was read; None: it could not be."""

    stalled: Mapping[str, str] = {}
    damages: Mapping[str, int] = {}
    quarantine: str = ""
    gaps: Sequence[Gap] = ()
    upstreams: Sequence[Upstream] = ()
    book_findings: int | None = None
    first_finding: str = ""
    checked_h: float | None = None  # How long ago.
    sealed_days: int | None = None  # How many days ago the last sealed day was; None: none needs to be.
    unpriced: Sequence[str] = ()
    low: Sequence[Low] = ()
    unsettled_bytes: int = 0
    unsettled_s: float = 0.0
    workers: int | None = None
    workers_ready: int = 0
    workers_behind: int = 0
    behind_s: float = 0.0
    processes: Sequence[Process] = ()
    disk_free: int | None = None
    disk: str = ""
    failed_share_bp: int | None = None
    requests_per_s: float = 0.0
    webhooks: Mapping[str, int] = {}


def stalled(facts: Facts) -> Iterator[Problem]:
    for journal, why in list(facts.stalled.items())[:SHOWN_MAX]:
        yield Problem(
            rule="journal-stalled",
            level="firing",
            subject=journal,
            path="/audit",
            what=say("The ledger cannot read a journal: %(journal)s", journal=journal),
            why=as_is(why),
            mend=say(
                "Mend what the reason names. What was served stays in the journal and is charged once it can be read."
            ),
        )


def damaged(facts: Facts) -> Iterator[Problem]:
    count = sum(facts.damages.values())
    if count:
        kinds = ", ".join(f"{kind}: {many}" for kind, many in sorted(facts.damages.items()))
        yield Problem(
            rule="journal-damaged",
            level="firing",
            path="/audit",
            what=say("Journals are damaged in %(count)s places", count=count),
            why=say("Found while they were read: %(kinds)s", kinds=kinds),
            mend=say(
                "Look at the disk and run `arkwright audit verify`. What is damaged lies in"
                " %(directory)s: move it elsewhere when it is dealt with.",
                directory=facts.quarantine,
            ),
        )


def books(facts: Facts) -> Iterator[Problem]:
    if facts.book_findings:
        yield Problem(
            rule="books-differ",
            level="firing",
            path="/audit",
            what=say("The books do not agree: %(count)s findings", count=facts.book_findings),
            why=as_is(facts.first_finding),
            mend=say("Run `arkwright audit check`: it names each of them."),
        )


def unchecked(facts: Facts) -> Iterator[Problem]:
    if facts.checked_h is not None and facts.checked_h > CHECK_MAX_H:
        yield Problem(
            rule="check-overdue",
            level="warning",
            path="/audit",
            what=say("The books were not checked for %(hours)s hours", hours=int(facts.checked_h)),
            why=say("They are checked once a day; the last check did not come to its end."),
            mend=say("Run `arkwright audit check`, and read the log of control for why it does not run by itself."),
        )


def unsealed(facts: Facts) -> Iterator[Problem]:
    if facts.sealed_days is not None and facts.sealed_days > SEAL_MAX_DAYS:
        yield Problem(
            rule="seal-overdue",
            level="warning",
            path="/audit",
            what=say("The last sealed day was %(days)s days ago", days=facts.sealed_days),
            why=say("Each day of charges is sealed once it is over; sealing has not come that far."),
            mend=say(
                "Read the log of control for the chore that seals; until then bills of these days cannot be proved."
            ),
        )


def gaps(facts: Facts) -> Iterator[Problem]:
    for gap in list(facts.gaps)[:SHOWN_MAX]:
        if gap.desired == "running":
            yield Problem(
                rule="deployment-gap",
                level="firing" if gap.failed else "warning",
                subject=gap.name,
                path=f"/deployments/{gap.name}",
                what=say("Deployment %(name)s does not serve", name=gap.name),
                why=gap.why,
                mend=say(
                    "Read its log; what keeps it from running is tried again by itself, in longer and longer pauses."
                ),
            )


def breakers(facts: Facts) -> Iterator[Problem]:
    told = {
        "provider": say("Provider %(name)s is left alone"),
        "deployment": say("A replica of %(name)s is left alone"),
    }
    for each in list(facts.upstreams)[:SHOWN_MAX]:
        if each.breaker in ("open", "half_open"):
            yield Problem(
                rule="breaker-open",
                level="firing" if each.breaker == "open" else "warning",
                subject=each.name,
                path=f"/{each.noun}s/{each.name}",
                what=msgspec.structs.replace(told[each.noun], values={"name": each.name}),
                why=say(
                    "Too many of its answers failed, so its breaker opened; now and then one request tries it again."
                ),
                mend=say("Look at how its attempts ended: a wrong key, a wrong address or a service that is down."),
            )


def unpriced(facts: Facts) -> Iterator[Problem]:
    for name in list(facts.unpriced)[:SHOWN_MAX]:
        yield Problem(
            rule="model-unpriced",
            level="warning",
            subject=name,
            path="/prices",
            what=say("Model %(name)s has no price", name=name),
            why=say("No version of the price book names it at this moment, so every request for it is refused."),
            mend=say("Set one: `arkwright prices set %(name)s`.", name=name),
        )


def low(facts: Facts) -> Iterator[Problem]:
    for each in list(facts.low)[:SHOWN_MAX]:
        left = each.balance_pico <= 0
        yield Problem(
            rule="balance-low",
            level="firing" if left else "warning",
            subject=each.name,
            path="/billing",
            what=say("%(name)s has no balance left", name=each.name)
            if left
            else say("The balance of %(name)s is near zero", name=each.name),
            why=say(
                "It has %(balance)s %(currency)s, and used %(spent)s in the last 24 hours.",
                balance=decimal_from_pico(each.balance_pico),
                currency=each.currency,
                spent=decimal_from_pico(each.spent_pico),
            ),
            mend=say("Take a payment, or tell them: without a balance their requests are refused with 402."),
        )


def late(facts: Facts) -> Iterator[Problem]:
    if facts.unsettled_bytes and facts.unsettled_s > UNSETTLED_MAX_S:
        yield Problem(
            rule="settler-late",
            level="firing",
            path="/audit",
            what=say("The ledger is %(seconds)s s behind the journals", seconds=int(facts.unsettled_s)),
            why=say(
                "%(bytes)s bytes were served and written down, and are not posted yet.", bytes=facts.unsettled_bytes
            ),
            mend=say("Read the log of control; nothing is lost, but balances and limits go by what is posted."),
        )


def behind(facts: Facts) -> Iterator[Problem]:
    if facts.workers == 0:
        yield Problem(
            rule="no-gateway",
            level="firing",
            path="/deployments",
            what=say("No gateway worker runs"),
            why=say("Nobody has told of being alive for some seconds."),
            mend=say("See `arkwright status` and the logs of the gateways."),
        )
    elif facts.workers is not None and facts.workers_ready < facts.workers:
        yield Problem(
            rule="gateway-not-ready",
            level="firing",
            path="/deployments",
            what=say(
                "%(count)s of %(all)s gateway workers are not ready",
                count=facts.workers - facts.workers_ready,
                all=facts.workers,
            ),
            why=say("/readyz of the gateway says what is missing."),
            mend=say("See `arkwright status` and the logs of the gateways."),
        )
    if facts.workers_behind and facts.behind_s > SNAPSHOT_BEHIND_MAX_S:
        yield Problem(
            rule="snapshot-behind",
            level="firing",
            path="/deployments",
            what=say("%(count)s gateway workers serve by an old configuration", count=facts.workers_behind),
            why=say("They have not loaded the newest snapshot for %(seconds)s s.", seconds=int(facts.behind_s)),
            mend=say(
                "Read their logs; `arkwright reload` puts new workers in their place, and no request fails for it."
            ),
        )


def restarting(facts: Facts) -> Iterator[Problem]:
    for process in list(facts.processes)[:SHOWN_MAX]:
        if process.state == "backing-off" or process.restarts > RESTARTS_MAX:
            yield Problem(
                rule="process-restarts",
                level="firing" if process.state == "backing-off" else "warning",
                subject=process.name,
                path="/deployments",
                what=say("Process %(name)s was restarted %(count)s times", name=process.name, count=process.restarts),
                why=say("It ended last with %(exit)s.", exit=process.last_exit) if process.last_exit else NOTHING,
                mend=say("Read its log: `arkwright logs %(name)s`.", name=process.name),
            )


def full(facts: Facts) -> Iterator[Problem]:
    if facts.disk_free is not None and facts.disk_free < DISK_FREE_MIN:
        yield Problem(
            rule="disk-full",
            level="firing",
            path="/deployments",
            what=say("%(gib)s GiB free at %(place)s", gib=f"{facts.disk_free / 1024**3:.1f}", place=facts.disk),
            why=say("A full disk stops the journal, and so all requests."),
            mend=say("Free some space."),
        )


def failing(facts: Facts) -> Iterator[Problem]:
    busy = facts.requests_per_s >= REQUESTS_MIN_PER_S
    if facts.failed_share_bp is not None and facts.failed_share_bp >= FAILED_SHARE_BP and busy:
        yield Problem(
            rule="errors-many",
            level="firing",
            path="/requests",
            what=say("%(percent)s %% of requests fail", percent=f"{facts.failed_share_bp / 100:.1f}"),
            why=say("Answers of 5xx within the last seconds: an upstream fails, or none is left that serves."),
            mend=say("Look at the requests that failed, and at deployments and providers."),
        )


def webhooks(facts: Facts) -> Iterator[Problem]:
    for name, failures in list(facts.webhooks.items())[:SHOWN_MAX]:
        if failures >= RESTARTS_MAX:
            yield Problem(
                rule="webhook-fails",
                level="warning",
                subject=name,
                path="/settings",
                what=say("Webhook %(name)s failed %(count)s times in a row", name=name, count=failures),
                why=say("Its receiver did not take what was sent; nothing is lost, it is sent again."),
                mend=say("See `arkwright webhooks show %(name)s` for its last answers.", name=name),
            )


# A rule is added by a line here.
RULES: tuple[Callable[[Facts], Iterator[Problem]], ...] = (
    stalled,
    damaged,
    books,
    full,
    behind,
    gaps,
    breakers,
    failing,
    late,
    restarting,
    low,
    unpriced,
    unchecked,
    unsealed,
    webhooks,
)


def found(facts: Facts) -> list[Problem]:
    """What fires comes first; within that, in the order of the rules."""
    told = [problem for rule in RULES for problem in rule(facts)]
    return sorted(told, key=lambda problem: problem.level != "firing")

"""Every rule fires by its own fact, says what, why and what to do, and keeps still when all is well."""

from typing import Any

import pytest

from arkwright.basics.saying import say
from arkwright.domain import problems
from arkwright.domain.problems import Facts, Gap, Low, Process, Upstream

ONE = 10**12
WELL: dict[str, Any] = {
    "book_findings": 0,
    "checked_h": 3.0,
    "sealed_days": 1,
    "workers": 2,
    "workers_ready": 2,
    "disk_free": 100 * 1024**3,
    "failed_share_bp": 0,
    "requests_per_s": 5.0,
    "processes": [Process("control", "running", 1, "exit code 0")],
    "upstreams": [Upstream("provider", "up", "closed")],
    "gaps": [Gap("resting", "draining", say("under way: %(count)s", count=1))],
    "unsettled_bytes": 500,
    "unsettled_s": 2.0,
    "webhooks": {"hook": 1},
}
TROUBLES: list[tuple[str, str, dict[str, Any]]] = [
    ("journal-stalled", "firing", {"stalled": {"jrn_1": "no such organization"}}),
    ("journal-damaged", "firing", {"damages": {"torn": 2}, "quarantine": "/q"}),
    ("books-differ", "firing", {"book_findings": 1, "first_finding": "charges: org_a"}),
    ("check-overdue", "warning", {"checked_h": 50.0}),
    ("seal-overdue", "warning", {"sealed_days": 4}),
    ("deployment-gap", "firing", {"gaps": [Gap("d", "running", say("failed"), failed=True)]}),
    ("deployment-gap", "warning", {"gaps": [Gap("d", "running", say("starting"))]}),
    ("breaker-open", "firing", {"upstreams": [Upstream("provider", "p", "open")]}),
    ("breaker-open", "warning", {"upstreams": [Upstream("deployment", "d", "half_open")]}),
    ("model-unpriced", "warning", {"unpriced": ["m"]}),
    ("balance-low", "warning", {"low": [Low("acme", "USD", ONE, 2 * ONE)]}),
    ("balance-low", "firing", {"low": [Low("acme", "USD", 0, 2 * ONE)]}),
    ("settler-late", "firing", {"unsettled_s": 90.0}),
    ("no-gateway", "firing", {"workers": 0, "workers_ready": 0}),
    ("gateway-not-ready", "firing", {"workers_ready": 1}),
    ("snapshot-behind", "firing", {"workers_behind": 1, "behind_s": 30.0}),
    ("process-restarts", "firing", {"processes": [Process("engine-x", "backing-off", 4, "exit code 3")]}),
    ("process-restarts", "warning", {"processes": [Process("engine-x", "running", 9, "")]}),
    ("disk-full", "firing", {"disk_free": 1024, "disk": "/data"}),
    ("errors-many", "firing", {"failed_share_bp": 2_000}),
    ("webhook-fails", "warning", {"webhooks": {"hook": 7}}),
]


def test_nothing_is_told_where_all_is_well_or_nothing_is_known() -> None:
    assert problems.found(Facts(**WELL)) == []
    assert problems.found(Facts()) == []


@pytest.mark.parametrize(("rule", "level", "facts"), TROUBLES, ids=[f"{rule} {level}" for rule, level, _ in TROUBLES])
def test_each_rule_fires_by_its_own_fact(rule: str, level: str, facts: dict[str, Any]) -> None:
    (found,) = problems.found(Facts(**{**WELL, **facts}))
    assert (found.rule, found.level) == (rule, level)
    assert found.path.startswith("/")
    for words in (found.what, found.mend):
        assert str(words)
        assert "%(" not in str(words)
    assert "%(" not in str(found.why)


def test_what_fires_comes_first_and_one_rule_never_fills_the_page() -> None:
    many = {f"jrn_{number}": "why" for number in range(100)}
    found = problems.found(Facts(unpriced=["m"], stalled=many))
    assert len(found) == problems.SHOWN_MAX + 1
    assert found[-1].rule == "model-unpriced"

"""The text format is read as strictly as Prometheus reads it, and quantiles are worked out as Prometheus does."""

import math

import pytest

from arkwright.wire import prometheus
from arkwright.wire.prometheus import Malformed, parse, quantile, series

HISTOGRAM = """# HELP t_seconds Words.
# TYPE t_seconds histogram
t_seconds_bucket{a="x",le="0.1"} 1
t_seconds_bucket{a="x",le="1"} 3
t_seconds_bucket{a="x",le="+Inf"} 4
t_seconds_sum{a="x"} 3.5
t_seconds_count{a="x"} 4
"""


def test_a_family_is_read_back() -> None:
    family = parse(HISTOGRAM)["t_seconds"]
    assert (family.kind, len(family.samples)) == ("histogram", 5)
    assert prometheus.buckets(family.samples) == {0.1: 1, 1.0: 3, math.inf: 4}


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "a}b", "a,b=c", "", "模型"])
def test_what_is_written_as_a_label_is_read_as_it_was(text: str) -> None:
    line = series("m_total", 5, {"name": text, "other": "x"})
    (sample,) = parse(f"# TYPE m_total counter\n{line}\n")["m_total"].samples
    assert sample == prometheus.Sample("m_total", {"name": text, "other": "x"}, 5.0)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# TYPE t_seconds histogram\n", ""),
        ("# TYPE t_seconds histogram", "# TYPE t_seconds histogramme"),
        ('le="1"} 3', 'le="1"} 0'),  # Not cumulative.
        ('le="1"', 'le="0.05"'),  # Not in order.
        ('le="1"', 'le="0.1"'),  # Twice.
        ('t_seconds_bucket{a="x",le="+Inf"} 4\n', ""),
        ('le="+Inf"} 4', 'le="+Inf"} 5'),
        ('t_seconds_sum{a="x"} 3.5\n', ""),
        ('t_seconds_sum{a="x"}', 't_seconds_sum{a="y"}'),
        ("t_seconds_sum", "other_sum"),
        ('a="x",le="1"', 'a="x",a="x",le="1"'),
        ('a="x",le="1"', 'a=x,le="1"'),
        ("} 3.5", "} three"),
        ("} 3.5", "} "),
        ('count{a="x"} 4\n', 'count{a="x"} 4'),
        ('le="1"} 3', 'le="1"} 3\n# TYPE t_seconds histogram'),
    ],
)
def test_what_prometheus_refuses_is_refused(old: str, new: str) -> None:
    assert old in HISTOGRAM
    with pytest.raises(Malformed):
        parse(HISTOGRAM.replace(old, new))


@pytest.mark.parametrize(
    "text",
    [
        "# TYPE requests counter\nrequests 1\n",
        "# TYPE r_total counter\nr_total -1\n",
        "# TYPE r_total counter\nr_total NaN\n",
        "# TYPE r_total counter\nr_total 1\nr_total 2\n",
    ],
)
def test_a_bad_counter_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse(text)


def test_quantiles_lie_within_their_bucket() -> None:
    cumulative = {0.1: 10.0, 0.2: 20.0, math.inf: 20.0}
    assert quantile(cumulative, 0.5) == pytest.approx(0.1)
    assert quantile(cumulative, 0.75) == pytest.approx(0.15)
    assert quantile(cumulative, 1.0) == pytest.approx(0.2)
    assert quantile({0.1: 0.0, math.inf: 3.0}, 0.5) == pytest.approx(0.1)
    assert quantile({0.1: 0.0, math.inf: 0.0}, 0.5) is None
    assert quantile({}, 0.5) is None

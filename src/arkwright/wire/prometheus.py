"""Prometheus' text format, version 0.0.4: what a scrape is written in, read back whole or refused.

Law: what `parse` takes, a real Prometheus takes, too: it is as strict about names, labels, order and histograms.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')
_SERIES = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? (\S+)')
_TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}
_PARTS = ("_bucket", "_sum", "_count")


class Malformed(Exception):
    """A text that Prometheus would not take."""


class Sample(NamedTuple):
    """One line: `name` as written, so a histogram's parts keep their endings."""

    name: str
    labels: dict[str, str]
    value: float


class Family(NamedTuple):
    name: str
    kind: str
    samples: list[Sample]


def escaped(text: str) -> str:
    """A label's value as it stands between quotes."""
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def series(name: str, value: object, labels: Mapping[str, str]) -> str:
    told = ",".join(f'{label}="{escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{told}}} {value}" if told else f"{name} {value}"


def parse(text: str) -> dict[str, Family]:
    """Families by name. Raises Malformed, with the line."""
    if text and not text.endswith("\n"):
        raise Malformed("the last line has no end")
    families: dict[str, Family] = {}
    current: Family | None = None
    for number, line in enumerate(text.split("\n")[:-1], 1):
        try:
            if line.startswith("# TYPE "):
                current = _family(line, families)
            elif line and not line.startswith("#"):
                _take(_sample(line), current)
        except Malformed as error:
            raise Malformed(f"line {number}: {error}: {line[:200]!r}") from None
    for family in families.values():
        _check(family)
    return families


def _family(line: str, families: dict[str, Family]) -> Family:
    words = line.split(" ")
    if len(words) != 4 or not _NAME.fullmatch(words[2]) or words[3] not in _TYPES:
        raise Malformed("a TYPE has a name and a known type")
    if words[2] in families:
        raise Malformed("a family is told of twice")
    families[words[2]] = family = Family(words[2], words[3], [])
    return family


def _sample(line: str) -> Sample:
    found = _SERIES.fullmatch(line)
    if found is None:
        raise Malformed("not a name, labels and a value")
    labels: dict[str, str] = {}
    rest = found[2] or ""
    while rest:
        pair = _LABEL.match(rest)
        if pair is None or pair[1] in labels:
            raise Malformed("labels are not well formed, or one comes twice")
        labels[pair[1]] = _unescaped(pair[2])
        rest = rest[pair.end() :]
    return Sample(found[1], labels, _number(found[3]))


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text)


def _number(text: str) -> float:
    if text in ("+Inf", "-Inf", "NaN"):
        return float(text)
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        raise Malformed("the value is not a number")
    return float(text)


def _take(sample: Sample, family: Family | None) -> None:
    if family is None:
        raise Malformed("a series before any TYPE")
    names = {family.name + part for part in _PARTS} if family.kind == "histogram" else {family.name}
    if sample.name not in names:
        raise Malformed(f"a series outside its family {family.name}")
    if sample.name.endswith("_bucket") != ("le" in sample.labels) and family.kind == "histogram":
        raise Malformed("exactly a bucket has an `le`")
    family.samples.append(sample)


def _check(family: Family) -> None:
    """No series twice; counters end in _total and do not fall below zero; buckets add up to the count."""
    told = [(sample.name, frozenset(sample.labels.items())) for sample in family.samples]
    if len(told) != len(set(told)):
        raise Malformed(f"{family.name}: a series is told twice")
    if family.kind == "counter":
        if not family.name.endswith("_total"):
            raise Malformed(f"{family.name}: a counter's name ends in _total")
        if any(not sample.value >= 0 for sample in family.samples):
            raise Malformed(f"{family.name}: a counter is never negative")
    if family.kind == "histogram":
        _check_buckets(family)


def _check_buckets(family: Family) -> None:
    groups: dict[frozenset[tuple[str, str]], dict[str, list[Sample]]] = {}
    for sample in family.samples:
        key = frozenset(pair for pair in sample.labels.items() if pair[0] != "le")
        groups.setdefault(key, {part: [] for part in _PARTS})[sample.name.removeprefix(family.name)].append(sample)
    for parts in groups.values():
        edges = [_number(sample.labels["le"]) for sample in parts["_bucket"]]
        counts = [sample.value for sample in parts["_bucket"]]
        whole = len(parts["_sum"]) == len(parts["_count"]) == 1 and edges and edges[-1] == math.inf
        if not whole or edges != sorted(set(edges)):
            raise Malformed(f"{family.name}: buckets rise to +Inf, with one sum and one count")
        if counts != sorted(counts) or counts[-1] != parts["_count"][0].value:
            raise Malformed(f"{family.name}: buckets are cumulative, and the last is the count")


def buckets(samples: Iterable[Sample]) -> dict[float, float]:
    """Buckets of several series of one histogram, added up: upper edge → cumulative count."""
    found: dict[float, float] = {}
    for sample in samples:
        if (edge := sample.labels.get("le")) is not None:
            found[float(edge)] = found.get(float(edge), 0.0) + sample.value
    return dict(sorted(found.items()))


def quantile(cumulative: Mapping[float, float], share: float) -> float | None:
    """As Prometheus has it: even within a bucket; the last finite edge when it is beyond it. None without a count."""
    total = cumulative.get(math.inf, 0.0)
    if not total > 0:
        return None
    rank, below, lower = share * total, 0.0, 0.0
    for edge, count in cumulative.items():
        if count >= rank and count > below:
            return lower if edge == math.inf else lower + (edge - lower) * (rank - below) / (count - below)
        below, lower = count, edge
    return lower

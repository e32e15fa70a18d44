"""The tables. Law: a figure is a median with the least and the most beside it; a ratio is of one round."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from benchmarks.gateway.contenders import DIRECT, REFERENCE
from benchmarks.gateway.plain import CONNECTIONS, Plain
from benchmarks.gateway.timed import Latency, Streamed
from benchmarks.table import spread, table

Found = TypeVar("Found")


def _beside(found: Sequence[Found], other: Sequence[Found], figure: Callable[[Found, Found], float], form: str) -> str:
    return spread([figure(mine, its) for mine, its in zip(found, other, strict=True)], form)


def _with_the_rest(head: Sequence[str], rows: list[list[str]], wanted: Collection[str]) -> list[list[str]]:
    """Who was wanted and has no figure; the notes below the tables say why."""
    shown = {row[0] for row in rows}
    return rows + [[name, "no figure", *["-"] * (len(head) - 2)] for name in wanted if name not in shown]


def plain(rounds: Mapping[str, list[Plain]], wanted: Collection[str], connections: int = CONNECTIONS) -> str:
    rows = [
        [
            name,
            spread([one.per_cpu_second for one in found], ",.0f"),
            _beside(found, rounds[REFERENCE], lambda mine, its: mine.per_cpu_second / its.per_cpu_second, ".2f"),
            spread([one.cpu_us for one in found], ".1f"),
            spread([one.per_second for one in found], ",.0f"),
            spread([one.share for one in found], ".2f"),
        ]
        for name, found in rounds.items()
    ]
    asked = f"{connections} connections, 0.6 KB in, 1 KB out"
    head = [asked, "requests a CPU-second", "x nginx", "CPU µs a request", "requests/s", "CPU share"]
    return table(head, _with_the_rest(head, rows, wanted))


def latency(rounds: Mapping[str, list[Latency]], wanted: Collection[str]) -> str:
    direct, reference = rounds[DIRECT], rounds[REFERENCE]
    rows = []
    for name, found in rounds.items():
        row = [
            name,
            spread([one.p50_us / 1000 for one in found], ".2f"),
            spread([one.p99_us / 1000 for one in found], ".2f"),
        ]
        for other in (direct, reference):
            row.append(_beside(found, other, lambda mine, its: (mine.p50_us - its.p50_us) / 1000, "+.2f"))
            row.append(_beside(found, other, lambda mine, its: (mine.p99_us - its.p99_us) / 1000, "+.2f"))
        rows.append(row)
    head = ["1,000 requests/s", "p50 ms", "p99 ms", "p50 over the upstream", "p99 over the upstream", "p50 over nginx",
            "p99 over nginx"]  # fmt: skip
    return table(head, _with_the_rest(head, rows, wanted))


def streams(rounds: Mapping[str, list[Streamed]], wanted: Collection[str]) -> str:
    direct, reference = rounds[DIRECT], rounds[REFERENCE]
    rows = []
    for name, found in rounds.items():
        alone = name == DIRECT
        row = [name, "-" if alone else spread([one.cpu_us for one in found], ".1f")]
        row.append("-" if alone else _beside(found, reference, lambda mine, its: mine.cpu_us / its.cpu_us, ".2f"))
        row.append(spread([one.p50_us / 1000 for one in found], ".2f"))
        row.append(_beside(found, direct, lambda mine, its: (mine.p50_us - its.p50_us) / 1000, "+.2f"))
        row.append(_beside(found, direct, lambda mine, its: (mine.p99_us - its.p99_us) / 1000, "+.2f"))
        rows.append(row)
    head = ["64 streams, 100 events a second each", "CPU µs an event", "x nginx", "first token, p50 ms", "p50 added ms",
            "p99 added ms"]  # fmt: skip
    return table(head, _with_the_rest(head, rows, wanted))


def bodies(rounds_of: Mapping[str, Mapping[str, list[Plain]]], wanted: Collection[str]) -> str:
    prompts, images = rounds_of["prompts"], rounds_of["images"]
    rows = []
    for name in prompts:
        row = [name]
        for rounds in (prompts, images):
            found = rounds.get(name, ())
            row.append(spread([one.cpu_us for one in found], ",.0f"))
            row.append(
                _beside(found, rounds[REFERENCE][: len(found)], lambda mine, its: mine.cpu_us / its.cpu_us, ".2f")
            )
        rows.append(row)
    head = ["8 connections, CPU µs a request", "128 KB prompt", "x nginx's", "2 MB image", "x nginx's"]
    return table(head, _with_the_rest(head, rows, wanted))

"""Small charts drawn by the server: numbers in, plain geometry out, for templates to write as SVG.

Law: whole numbers of a grid only, and no style: classes give colours, so that a chart is dark where the page is. Each
chart stands beside the same figures as text; lengths are for the eye.
"""

from collections.abc import Sequence

import msgspec

WIDTH = 1000


class Bar(msgspec.Struct, frozen=True):
    """`x` and `length` of WIDTH; `value` as it is told."""

    label: str
    value: str
    length: int
    x: int = 0
    tone: str = ""


class Line(msgspec.Struct, frozen=True):
    """`points` as SVG's polyline takes them; `last` the same of an area below it."""

    points: str
    area: str
    width: int
    height: int


class Steps(msgspec.Struct, frozen=True):
    """`lines`: points of each series; `x`: where each step begins."""

    lines: tuple[str, ...]
    x: tuple[int, ...]
    width: int
    height: int


def bars(rows: Sequence[tuple[str, str, int]]) -> list[Bar]:
    """Label, value as told, and amount: as long as their share of the longest."""
    longest = max((amount for _, _, amount in rows), default=0)
    return [Bar(label, value, max(0, amount) * WIDTH // longest if longest > 0 else 0) for label, value, amount in rows]


def waterfall(spans: Sequence[tuple[str, str, int, int, str]]) -> list[Bar]:
    """Label, value as told, begin, end (any unit, from one beginning) and tone: each bar where it happened."""
    begin = min((begin for _, _, begin, _, _ in spans), default=0)
    whole = max(1, max((end for _, _, _, end, _ in spans), default=0) - begin)
    return [
        Bar(label, value, max(2, (end - start) * WIDTH // whole), (start - begin) * (WIDTH - 2) // whole, tone)
        for label, value, start, end, tone in spans
    ]


def sparkline(values: Sequence[int], width: int = 160, height: int = 36) -> Line:
    """A line from left to right; the highest value touches the top, zero the bottom."""
    top = max(values, default=0)
    steps = max(1, len(values) - 1)
    points = [
        (index * width // steps, height - 1 - (value * (height - 2) // top if top else 0))
        for index, value in enumerate(values)
    ]
    drawn = " ".join(f"{x},{y}" for x, y in points)
    area = f"0,{height} {drawn} {width if len(points) > 1 else 0},{height}" if points else ""
    return Line(drawn, area, width, height)


def columns(values: Sequence[int], width: int = WIDTH, height: int = 60) -> list[tuple[int, int, int, int]]:
    """A histogram: x, y, width and height of each column; what is not zero is at least one high."""
    top = max(values, default=0)
    wide = max(1, width // max(1, len(values)))
    drawn = []
    for index, value in enumerate(values):
        high = max(1, value * height // top) if value > 0 else 0
        drawn.append((index * width // max(1, len(values)), height - high, max(1, wide - 2), high))
    return drawn


def steps(moments: Sequence[int], series: Sequence[Sequence[int]], end: int, height: int = 160) -> Steps:
    """What holds from a moment until the next one, up to `end`; all series by one scale, zero at the bottom."""
    top = max((value for values in series for value in values), default=0) or 1
    begin = moments[0]
    span = max(1, end - begin)
    x = [(moment - begin) * WIDTH // span for moment in (*moments, end)]
    lines = []
    for values in series:
        points = []
        for index, value in enumerate(values):
            y = height - 2 - value * (height - 4) // top
            points += [f"{x[index]},{y}", f"{x[index + 1]},{y}"]
        lines.append(" ".join(points))
    return Steps(tuple(lines), tuple(x[:-1]), WIDTH, height)

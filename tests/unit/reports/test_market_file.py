"""A file of market figures is taken as it stands, or refused with line and field."""

from datetime import date

import pytest

from arkwright.basics.errors import InvalidInput
from arkwright.reports import market_file

HEAD = "market,vendor,metric,period,value,unit,share,source,published\n"


def line(**cells: str) -> bytes:
    given = {
        "market": "M", "vendor": "V", "metric": "tokens", "period": "2025-H1", "value": "1.5",
        "unit": "trillion tokens", "share": "", "source": "S", "published": "2025-10-16",
    } | cells  # fmt: skip
    return (HEAD + ",".join(given.values()) + "\n").encode()


def test_the_sample_is_read_whole() -> None:
    figures = market_file.read(market_file.sample())
    assert len(figures) == 9
    assert all(figure.source and figure.published for figure in figures)


def test_a_figure_is_exact() -> None:
    (figure,) = market_file.read(line(value="536.7", share="49.2"))
    assert figure.amount_pico == 536_700_000_000_000 * 10**12
    assert (figure.unit, figure.share_bp) == ("token", 4920)
    assert (figure.period_from, figure.period_to) == (date(2025, 1, 1), date(2025, 6, 30))


def test_a_mark_of_excel_and_an_empty_line_do_no_harm() -> None:
    assert len(market_file.read(b"\xef\xbb\xbf" + line() + b"\r\n,,,,,,,,\n")) == 1


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (line(vendor="B\xe4r").decode().encode("latin-1"), "line 2: the file is not UTF-8"),
        (line(value="1.5x"), "line 2: value: '1.5x' is no number"),
        (line(value="1e9"), "line 2: value: "),
        (line(value="-1"), "line 2: value: "),
        (line(value="NaN"), "line 2: value: "),
        (line(unit="bushels"), "line 2: unit: "),
        (line(unit="zillion tokens"), "line 2: unit: "),
        (line(metric="revenue", unit="billion XXX"), "line 2: unit: "),
        (line(metric="fame"), "line 2: metric: "),
        (line(period="soon"), "line 2: period: "),
        (line(period="month"), "line 2: period: "),
        (line(share="101"), "line 2: share: "),
        (line(share="1.234"), "line 2: share: "),
        (line(value="", unit=""), "line 2: value: "),
        (line(source=""), "line 2: source: "),
        (line(published="16.10.2025"), "line 2: published: "),
        (line(market=""), "line 2: market: "),
        (line() + line().split(b"\n")[1], "line 3: vendor: line 2 has this figure already"),
        (line() + b"a,b\n", "line 3: it has 2 cells"),
        (b"market,colour\n", "line 1: unknown column 'colour'"),
        (b"market,vendor\n", "line 1: the column 'metric' is missing"),
        (line(vendor='"V'), "line 2: this is not CSV"),
        (line(vendor="V\0"), "line 2: there is a NUL"),
        (b"x" * (market_file.BYTES_MAX + 1), "at most"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_field(raw: bytes, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        market_file.read(raw)
    assert refused.value.message.startswith(words) or words in refused.value.message

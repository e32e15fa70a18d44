"""The token league's sums from raw events in Parquet, by DuckDB: what the roll-up has, counted event by event.

Law: the same numbers as `store/leagues.py`, to the last token. Reads files alone; needs no platform and no database.

duckdb comes with the extra `analytics` and is imported only by who calls something here.
"""

from pathlib import Path
from typing import Any

from arkwright.basics.errors import InvalidInput
from arkwright.store.leagues import Dimension, Periods, TokenSum
from arkwright.store.parquet import FILE

# Each modality's counts, as `domain/metering.py` names them.
MODALITIES: dict[str, tuple[str, ...]] = {
    "text": (
        "input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
        "explicit_cached_tokens", "cache_write_1h_tokens",
    ),
    "image": ("image_input_tokens", "image_output_tokens"),
    "audio": ("audio_input_tokens", "audio_output_tokens"),
    "video": ("video_input_tokens", "video_output_tokens"),
}  # fmt: skip
_VALUES = {"total": "''", "provider": "target", "model": "model", "customer": "organization_id", "industry": "industry"}
_SUMS = """
    coalesce(sum({tokens}) FILTER (WHERE started_at >= $since AND started_at < $until), 0)::BIGINT,
    count(*) FILTER (WHERE started_at >= $since AND started_at < $until AND ({counted})),
    coalesce(sum({tokens}) FILTER (WHERE started_at >= $against_since AND started_at < $against_until), 0)::BIGINT
"""
_FROM = """
    FROM read_parquet($files, union_by_name = true)
    WHERE started_at >= $since AND started_at < $until OR started_at >= $against_since AND started_at < $against_until
"""


def tokens_by(directory: Path, dimension: Dimension, periods: Periods) -> tuple[list[TokenSum], dict[str, str]]:
    """The sums, and the names of customers by id. Raises InvalidInput where there are no such files."""
    asked = {
        "files": files(directory),
        "since": periods.since,
        "until": periods.until,
        "against_since": periods.against_since,
        "against_until": periods.against_until,
    }
    duckdb = library()
    with duckdb.connect() as connection:
        try:
            if dimension == "modality":
                return _by_modality(connection, asked), {}
            every = " + ".join(count for counts in MODALITIES.values() for count in counts)
            sums = _SUMS.format(tokens=every, counted="true")
            value = _VALUES[dimension]
            rows = connection.execute(
                f"SELECT organization_class, {value}, {sums}, max(organization_name) {_FROM} GROUP BY 1, 2",
                asked,
            ).fetchall()
        except duckdb.Error as error:
            raise InvalidInput(f"{directory}: these are no raw events of this platform: {error}") from None
    names = {row[1]: row[5] for row in rows} if dimension == "customer" else {}
    return [TokenSum(*row[:5]) for row in rows], names


def files(directory: Path) -> list[str]:
    """Every day's file. Raises InvalidInput where there is none."""
    found = sorted(str(path) for path in directory.glob(f"day=*/{FILE}"))
    if not found:
        raise InvalidInput(f"there is no day=…/{FILE} in {directory}; `arkwright exports parquet` writes them")
    return found


def library() -> Any:
    """duckdb. Raises InvalidInput that says how to get it."""
    try:
        import duckdb  # Large, and an extra: only who reads Parquet pays for it.
    except ImportError:
        raise InvalidInput("this needs the extra `analytics`: pip install 'arkwright[analytics]'") from None
    return duckdb


def _by_modality(connection: Any, asked: dict[str, Any]) -> list[TokenSum]:
    sums = ", ".join(
        _SUMS.format(tokens=" + ".join(counts), counted=f"{' + '.join(counts)} > 0") for counts in MODALITIES.values()
    )
    rows = connection.execute(f"SELECT organization_class, {sums} {_FROM} GROUP BY 1", asked).fetchall()
    found = [
        TokenSum(row[0], modality, *row[1 + 3 * place : 4 + 3 * place])
        for row in rows
        for place, modality in enumerate(MODALITIES)
    ]
    return [each for each in found if each.tokens or each.before]

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
# Grouped by whether the event is in the period, and in the one it is compared with: each event is added up once.
_GROUPED = """
    SELECT organization_class, {value} AS value, started_at >= $since AND started_at < $until AS now,
        started_at >= $against_since AND started_at < $against_until AS before, {sums}, max(organization_name)
    FROM read_parquet($files, union_by_name = true)
    WHERE started_at >= $since AND started_at < $until OR started_at >= $against_since AND started_at < $against_until
    GROUP BY 1, 2, 3, 4
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
    kinds = [" + ".join(counts) for counts in MODALITIES.values()]
    if dimension == "modality":
        sums = ", ".join(f"sum({kind})::BIGINT, count(*) FILTER (WHERE {kind} > 0)" for kind in kinds)
    else:
        sums = f"sum({' + '.join(kinds)})::BIGINT, count(*)"
    query = _GROUPED.format(value=_VALUES.get(dimension, "''"), sums=sums)
    duckdb = library()
    with duckdb.connect() as connection:
        try:
            rows = connection.execute(query, asked).fetchall()
        except duckdb.Error as error:
            raise InvalidInput(f"{directory}: these are no raw events of this platform: {error}") from None
    names = {row[1]: row[-1] for row in rows} if dimension == "customer" else {}
    found: dict[tuple[str, str], TokenSum] = {}
    for row in rows:
        for value, tokens, requests in _values(dimension, row):
            _add(found, (row[0], value), tokens, requests, now=row[2], before=row[3])
    return [each for each in found.values() if each.tokens or each.before or each.requests], names


def _values(dimension: Dimension, row: Any) -> list[tuple[str, int, int]]:
    """What a row counts: of its one value, or of each modality."""
    if dimension != "modality":
        return [(row[1], row[4], row[5])]
    return [(modality, row[4 + 2 * place], row[5 + 2 * place]) for place, modality in enumerate(MODALITIES)]


def _add(
    found: dict[tuple[str, str], TokenSum], key: tuple[str, str], tokens: int, requests: int, *, now: bool, before: bool
) -> None:
    known = found.get(key, TokenSum(*key, 0, 0, 0))
    found[key] = TokenSum(
        *key,
        known.tokens + (tokens if now else 0),
        known.requests + (requests if now else 0),
        known.before + (tokens if before else 0),
    )


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

"""What the control process knows, for the host's /metrics: charges as the ledger has them, and who is how far behind.

Law: counters are sums over charges of this host's journals, each charge once, since this process began; lags are read,
not guessed. It leaves them where gateway workers leave theirs (`run/metrics/`), so that one scrape tells all. No
customer's name, key or word is ever told.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import msgspec

from arkwright.basics.money import decimal_from_pico
from arkwright.control.health import Behind
from arkwright.control.platform import Platform
from arkwright.host.metric_boards import Families
from arkwright.store import feeds, observed
from arkwright.store.observed import ChargeSums
from arkwright.wire import prometheus

INTERVAL_S = 2.0
_TOKENS = ("input", "cached_input", "cache_write", "output", "reasoning")


class ControlMetrics:
    def __init__(self, platform: Platform, host: str, *, interval_s: float = INTERVAL_S) -> None:
        self._platform = platform
        self._host = host
        self._interval_s = interval_s
        self._file = platform.settings.paths.run / "metrics" / "control.json"
        self._charges: dict[tuple[str, str, str], int] = defaultdict(int)
        self._pico: dict[tuple[str, str], int] = defaultdict(int)
        self._tokens: dict[tuple[str, str], int] = defaultdict(int)
        self._position: int | None = None
        self._behind_since: float | None = None

    async def run(self) -> None:
        """For ever: look, write, rest."""
        while True:
            await self.step()
            await asyncio.sleep(self._interval_s)

    async def step(self) -> None:
        await feeds.give_places(self._platform.database)
        async with self._platform.reading() as connection:
            end = (await feeds.end(connection)).position - 1
            if self._position is None:
                self._position = end
            self._count(await observed.charges(connection, self._host, self._position, end))
            self._position = end
            lags = await observed.lags(connection)
            settled = await observed.settled_bytes(connection, self._host)
        families = self._counted() | self._lagging(end, lags) | self._settling(settled)
        await asyncio.to_thread(_write, self._file, families)

    def _count(self, rows: list[ChargeSums]) -> None:
        for row in rows:
            self._charges[(row.model, row.currency, row.usage_source)] += row.charges
            self._pico[(row.model, row.currency)] += row.amount_pico
            charged = self._platform.health.charged_pico
            charged[row.currency] = charged.get(row.currency, 0) + int(row.amount_pico)
            for kind in _TOKENS:
                self._tokens[(row.model, kind)] += getattr(row, f"{kind}_tokens")

    def _counted(self) -> Families:
        return {
            "arkwright_charges_total counter": [
                _series("arkwright_charges_total", count, model=model, currency=currency, usage_source=source)
                for (model, currency, source), count in sorted(self._charges.items())
            ],
            "arkwright_charged_total counter": [
                _series("arkwright_charged_total", decimal_from_pico(pico), model=model, currency=currency)
                for (model, currency), pico in sorted(self._pico.items())
            ],
            "arkwright_charged_tokens_total counter": [
                _series("arkwright_charged_tokens_total", count, model=model, kind=kind)
                for (model, kind), count in sorted(self._tokens.items())
            ],
        }

    def _lagging(self, end: int, lags: observed.Lags) -> Families:
        """How many places of the feed each follower has before it."""
        return {
            "arkwright_feed_position gauge": [_series("arkwright_feed_position", end)],
            "arkwright_feed_lag_positions gauge": [
                _series("arkwright_feed_lag_positions", max(end - position, 0), follower=name)
                for name, position in sorted(lags.followers.items())
            ],
            "arkwright_webhook_failures gauge": [
                _series("arkwright_webhook_failures", failures, webhook=name)
                for name, failures in sorted(lags.failures.items())
            ],
            "arkwright_proof_root gauge": [_series("arkwright_proof_root", lags.last_root)],
        }

    def _settling(self, settled: Mapping[str, int]) -> Families:
        """Bytes that this host's journals have and the ledger has not, and for how long there have been some."""
        behind = 0
        for place, offset in settled.items():
            path = self._platform.settings.paths.journal / place
            behind += max(path.stat().st_size - offset, 0) if path.exists() else 0
        now = time.monotonic()
        self._behind_since = (self._behind_since or now) if behind else None
        seconds = 0.0 if self._behind_since is None else now - self._behind_since
        self._platform.health.behind = Behind(behind, seconds)
        return {
            "arkwright_settlement_lag_bytes gauge": [_series("arkwright_settlement_lag_bytes", behind)],
            "arkwright_settlement_lag_seconds gauge": [_series("arkwright_settlement_lag_seconds", f"{seconds:.1f}")],
            "arkwright_journals_stalled gauge": [
                _series("arkwright_journals_stalled", len(self._platform.settler.stalled))
            ],
        }


def _series(name: str, value: object, **labels: str) -> str:
    return prometheus.series(name, value, labels)


def _write(path: Path, families: Families) -> None:
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(families))
    fresh.rename(path)

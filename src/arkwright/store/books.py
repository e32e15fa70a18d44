"""The three books of what was served, side by side: hourly usage, charges, ledger. Reads only; amounts are exact pico.

Read them in one `Database.snapshot()`, after the settler has caught up: then they agree, or something is wrong. Every
charge there is gets read, so this belongs on a page that a person opens, not in a loop.
"""

from collections.abc import Sequence

import msgspec

from arkwright.store import usage
from arkwright.store.database import Connection, load_queries

TOKEN_COUNTS = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
_ALL = 1_000_000_000
_queries = load_queries("books")


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """What one book says of one organization in one currency. The counts are disjoint."""

    requests: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    amount_pico: int = 0


class Account(msgspec.Struct, frozen=True):
    lease_row: int
    balance_pico: int


class Books(msgspec.Struct, frozen=True):
    """Each by (organization id, currency). `ledger` and `imbalances` are pico."""

    usage: dict[tuple[str, str], Sums]
    charges: dict[tuple[str, str], Sums]
    ledger: dict[tuple[str, str], int]
    imbalances: dict[tuple[str, str], int]

    def differences(self) -> list[tuple[str, str]]:
        """Where the books do not say the same; empty is what they are kept for."""
        entries = sorted({*self.usage, *self.charges, *self.ledger})
        return [entry for entry in entries if not self._agree(entry)]

    def _agree(self, entry: tuple[str, str]) -> bool:
        charged = self.charges.get(entry, Sums())
        return (
            self.usage.get(entry, Sums()) == charged
            and self.ledger.get(entry, 0) == charged.amount_pico
            and self.imbalances.get(entry, 0) == 0
        )


async def read(connection: Connection) -> Books:
    """All organizations, all time."""
    used = await usage.report(connection, organization_id=None, by=["organization"], limit=_ALL)
    posted = [row async for row in _queries.ledger_sums(connection)]
    return Books(
        usage={(str(row.organization_id), row.currency): _sums(row) for row in used},
        charges={(row.organization_id, row.currency): _sums(row) async for row in _queries.charge_sums(connection)},
        ledger={(row.organization_id, row.currency): row.amount_pico for row in posted},
        imbalances={(row.organization_id, row.currency): row.imbalance_pico for row in posted},
    )


async def accounts(connection: Connection, organization_ids: Sequence[str]) -> dict[str, Account]:
    """By organization id: what `bill` calls the balance."""
    rows = _queries.payer_accounts(connection, organizations=list(organization_ids))
    return {row.id: Account(row.lease_row, row.balance_pico) async for row in rows}


def _sums(row: object) -> Sums:
    return Sums(**{name: getattr(row, name) for name in Sums.__struct_fields__})

"""The money side of one host on a real database: ledger, leases, journals, settler, without a gateway."""

from pathlib import Path
from typing import Any

from arkwright.basics.money import decimal_from_pico, pico_from_decimal
from arkwright.basics.settings import Settings
from arkwright.control import billing
from arkwright.control.billing import TopUpSpec
from arkwright.control.lease_keeper import LeaseKeeper
from arkwright.control.platform import Platform
from arkwright.control.publisher import Publisher
from arkwright.control.session import Session
from arkwright.control.settler import Settler
from arkwright.host.leases import LeaseWords
from arkwright.store import ledger
from arkwright.store.database import Database

DEPOSIT = 10**12


class Books:
    """Host `host_a`, with the settler and the lease keeper for a test to drive."""

    def __init__(self, database: Database, root: Path) -> None:
        self.database = database
        self.journal_dir = root / "journal"
        self.journal_dir.mkdir()
        self.words = LeaseWords.create(root / "words", 1, rows=64, slots=4)
        self.lot_words = LeaseWords.create(root / "lots", 1, rows=64, slots=4)
        self.settler = Settler(database, self.journal_dir, host="host_a")
        self.keeper = self.keeper_of(self.words)
        publisher = Publisher(database, self.words, root / "snapshot.msgpack", host="host_a")
        self.platform = Platform(
            Settings(data_dir=str(root)), database, bytes(32), self.words, publisher, self.settler, self.keeper
        )

    def keeper_of(self, words: LeaseWords) -> LeaseKeeper:
        return LeaseKeeper(
            self.database,
            words,
            self.settler,
            host="host_a",
            journal_dir=self.journal_dir,
            lot_words=self.lot_words if words is self.words else None,
        )

    async def value(self, query: str, *parameters: object) -> Any:
        async with self.database.connection() as connection:
            row = await (await connection.execute(query, parameters)).fetchone()
            return None if row is None else row[0]

    async def execute(self, statement: str) -> None:
        async with self.database.connection() as connection:
            await connection.execute(statement)

    async def top_up(self, organization_id: str, amount_pico: int, reference: str) -> ledger.TopUp:
        async with self.database.connection() as connection:
            session = Session(connection=connection, actor="test", currency="USD", master_key=b"")
            spec = TopUpSpec(amount=decimal_from_pico(amount_pico), reference=reference)
            _, result = await billing.top_up(session, organization_id, spec)
        await self.keeper.refresh(organization_id)
        return ledger.TopUp(result.created, pico_from_decimal(result.balance))

    async def balances(self, organization_id: str) -> dict[tuple[str, str], int]:
        async with self.database.connection() as connection:
            return await ledger.balances(connection, organization_id)

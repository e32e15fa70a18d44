"""Charges posted on a transaction of the test's own, which may stay open, commit late or roll back."""

import dataclasses

from arkwright.basics.ids import new_id
from arkwright.domain.charges import Charge, charge_of
from arkwright.domain.metering import Usage
from arkwright.store import settlement
from arkwright.store.database import Connection
from arkwright.store.journal_reader import Position
from tests.doubles.money import settled

_HEAD = bytes(32)


@dataclasses.dataclass
class Posting:
    """Batches of postpaid charges of one organization."""

    organization_id: str = "org_post"

    async def post(self, connection: Connection, count: int = 1) -> list[str]:
        """Post a batch as the settler does; returns its event ids. Commits when the caller's transaction does."""
        return [charge.event_id for charge in await self.charges(connection, count)]

    async def charges(self, connection: Connection, count: int = 1) -> list[Charge]:
        incarnation = new_id("inc")
        charges = [
            charge_of(incarnation, number, settled(self.organization_id, Usage(number, 0, 0, 7), prepaid=False))
            for number in range(1, count + 1)
        ]
        writer = settlement.Writer(incarnation, "host_a", 0, 1)
        place = Position(1, 0, 0, _HEAD)
        outcome = await settlement._post(connection, settlement.JournalBatch(writer, place, place, charges))
        assert outcome.charged == count
        return charges


async def place_on(connection: Connection, day: str) -> None:
    """Give everything unplaced its place, as if on that day (UTC), at noon."""
    await connection.execute(
        "WITH moved AS (DELETE FROM ledger_unplaced RETURNING transaction_id)"
        " INSERT INTO ledger_place SELECT coalesce((SELECT max(position) FROM ledger_place), 0)"
        " + row_number() OVER (ORDER BY id), id, organization_id, (%s || 'T12:00:00Z')::timestamptz"
        " FROM moved JOIN ledger_transaction ON id = transaction_id",
        (day,),
    )

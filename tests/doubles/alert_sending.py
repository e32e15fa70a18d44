"""A sender of alerts as a process of its own, to be killed: DATABASE_URL DATA_DIR SMTP_PORT."""

import asyncio
import sys
from pathlib import Path

from arkwright.basics.settings import Settings
from arkwright.control.alert_sender import AlertSender
from arkwright.control.lease_keeper import LeaseKeeper
from arkwright.control.platform import Platform
from arkwright.control.publisher import Publisher
from arkwright.control.settler import Settler
from arkwright.host.leases import LeaseWords
from arkwright.store.database import Database


async def send_for_ever(url: str, root: Path, smtp_port: int) -> None:
    database = Database(url, connections_max=4)
    await database.open()
    words = LeaseWords.open(root / "words")
    settler = Settler(database, root / "journal", host="host_a")
    keeper = LeaseKeeper(database, words, settler, host="host_a", journal_dir=root / "journal")
    publisher = Publisher(database, words, root / "snapshot.msgpack", host="host_a")
    settings = Settings(
        data_dir=str(root), smtp_host="127.0.0.1", smtp_port=smtp_port, smtp_tls="none", smtp_sender="ark@example.com"
    )
    platform = Platform(settings, database, bytes(range(32)), words, publisher, settler, keeper)
    await AlertSender(platform, tick_s=0.02).run()


if __name__ == "__main__":
    asyncio.run(send_for_ever(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))

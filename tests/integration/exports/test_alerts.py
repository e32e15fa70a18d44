"""Alerts: each crossing told once, by mail and by webhook, whatever receivers do and whoever is killed."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arkwright.basics.errors import ArkwrightError
from arkwright.cli import alerts as command
from arkwright.control import alert_sender, alerts, mail, organizations
from arkwright.control.alert_sender import AlertSender
from arkwright.control.mail import Mail
from arkwright.control.platform import Platform
from arkwright.store import alerts as store
from arkwright.store.alerts import Alert
from tests.doubles.books import Books
from tests.doubles.mailbox import Mailbox
from tests.doubles.money import add_organization
from tests.doubles.postings import Posting
from tests.doubles.receiver import Receiver, listening, signature_holds
from tests.doubles.served_admin import ServedAdmin

pytestmark = pytest.mark.anyio
DEADLINE_S = 30.0
TO = "money@example.com"


def with_mail(platform: Platform, mailbox: Mailbox, **changed: Any) -> None:
    fields = {"smtp_host": "127.0.0.1", "smtp_port": mailbox.port, "smtp_tls": "none", "smtp_sender": "ark@example.com"}
    platform.settings = msgspec.structs.replace(platform.settings, **fields | changed)


async def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        await asyncio.sleep(0.01)


async def create(admin: ServedAdmin, name: str = "much", kind: str = "spend_month", **fields: Any) -> dict[str, Any]:
    body = {"name": name, "kind": kind, "threshold": "0.0001", "organization": "org_post"} | fields
    with admin.at.client() as client:
        answer: dict[str, Any] = await admin.call(client.post, "/alerts", body)
    return answer


async def charged(books: Books, count: int = 10) -> None:
    """Ten charges come to 0.00015375 USD."""
    async with books.database.connection() as connection:
        await Posting("org_post").post(connection, count)


async def told(admin: ServedAdmin, alert: str) -> list[dict[str, Any]]:
    with admin.at.client() as client:
        found: list[dict[str, Any]] = await admin.call(client.get, f"/alerts/{alert}/messages")
    return found


async def test_a_crossing_is_told_once_by_both_ways(books: Books, platform: Platform, admin: ServedAdmin) -> None:
    with Mailbox().listening() as mailbox:
        async with listening(Receiver()) as receiver:
            with_mail(platform, mailbox)
            made = await create(admin, emails=[TO], webhook_url=receiver.url, allow_private=True, locale="zh_CN")
            sender = AlertSender(platform)
            await alert_sender.watch(platform)
            await sender.step()
            assert not mailbox.received
            for _ in range(3):
                await charged(books)
                await alert_sender.watch(platform)
                await sender.step()
    ((to, letter),) = mailbox.received
    ((headers, (event,)),) = receiver.received
    assert to == TO
    assert "org_post 本月消费已达 0.0001 USD" in str(letter["subject"])
    assert letter.get_content_type() == "text/plain"
    assert "http" not in letter.get_content()
    assert signature_holds(made["secret"], headers)
    assert event["type"] == "maas.alert.v1"
    assert event["data"]["organization"] == "org_post"
    assert event["data"]["threshold"] == "0.0001"
    by_channel = {each["channel"]: each for each in await told(admin, made["id"])}
    assert {each["state"] for each in by_channel.values()} == {"sent"}
    assert letter["message-id"] == f"<{by_channel['mail']['id']}@example.com>"
    assert event["id"] == by_channel["webhook"]["id"]


async def test_a_balance_that_trembles_tells_nobody_twice(books: Books, platform: Platform, admin: ServedAdmin) -> None:
    async with books.database.connection() as connection:
        await add_organization(connection, "org_a")
    await books.top_up("org_a", 10**12, "first")
    async with listening(Receiver()) as receiver:
        made = await create(
            admin, kind="balance", threshold="1.01", organization="org_a", webhook_url=receiver.url, allow_private=True
        )
        for amount in (1, 2 * 10**10, 1, 10**12, 1):  # Up to 1.02 it trembles; with 2.02 it is well back.
            await alert_sender.watch(platform)
            await AlertSender(platform).step()
            await books.top_up("org_a", amount, f"more {amount} {len(receiver.received)}")
        assert len(receiver.received) == 1
        await books.execute("UPDATE ledger_account SET balance_pico = 5 WHERE kind = 'prepaid'")
        await alert_sender.watch(platform)
        await AlertSender(platform).step()
    assert [event["data"]["crossing"] for _, (event,) in receiver.received] == [1, 2]
    assert (await told(admin, made["id"]))[0]["crossing"] == 2


async def test_what_a_receiver_refuses_is_sent_again_with_the_same_id(
    books: Books, platform: Platform, admin: ServedAdmin
) -> None:
    with Mailbox(lambda number: 451 if number < 2 else 250).listening() as mailbox:
        async with listening(Receiver(lambda number: 503 if number < 2 else 204)) as receiver:
            with_mail(platform, mailbox)
            made = await create(admin, emails=[TO], webhook_url=receiver.url, allow_private=True)
            await charged(books)
            await alert_sender.watch(platform)
            for _ in range(3):
                await AlertSender(platform).step()
                waiting = await told(admin, made["id"])
                await books.execute("UPDATE alert_message SET next_attempt_at = now()")
    assert len(receiver.seen) == 3
    assert len({headers["webhook-id"] for headers, _ in receiver.seen}) == 1
    assert len(mailbox.received) == 1
    assert {(each["state"], each["tries"]) for each in waiting} == {("sent", 3)}


async def test_a_receiver_that_there_is_not_fails_for_good(
    books: Books, platform: Platform, admin: ServedAdmin
) -> None:
    with Mailbox(lambda _: 550).listening() as mailbox:
        async with listening(Receiver(lambda _: 410)) as receiver:
            with_mail(platform, mailbox)
            made = await create(admin, emails=[TO], webhook_url=receiver.url, allow_private=True)
            await charged(books)
            await alert_sender.watch(platform)
            await AlertSender(platform).step()
            await AlertSender(platform).step()
    assert {(each["state"], each["tries"]) for each in await told(admin, made["id"])} == {("failed", 1)}


async def test_killed_between_sending_and_noting_nothing_is_lost(
    books: Books, platform: Platform, admin: ServedAdmin, tmp_path: Path
) -> None:
    """The first sender dies once the server has the mail and before it hears so; the next sends the same one."""
    taken = [0]
    with Mailbox(lambda _: "hang up after the mail" if not taken[0] else 250).listening() as mailbox:
        with_mail(platform, mailbox)
        await create(admin, emails=[TO])
        await charged(books)
        await alert_sender.watch(platform)
        first = _process(books, tmp_path, mailbox.port)
        await until(lambda: mailbox.received)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        taken[0] = 1
        await books.execute("UPDATE alert_message SET next_attempt_at = now()")
        second = _process(books, tmp_path, mailbox.port)
        try:
            await until(lambda: len(mailbox.received) > 1)
            end = time.monotonic() + DEADLINE_S
            while await books.value("SELECT state FROM alert_message") != "sent":
                assert time.monotonic() < end
                await asyncio.sleep(0.02)
        finally:
            second.kill()
            second.wait()
    assert len({letter["message-id"] for _, letter in mailbox.received}) == 1


def _process(books: Books, root: Path, port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.doubles.alert_sending", books.database.url, str(root),
                             str(port)])  # fmt: skip


async def test_a_budget_is_watched_by_its_share(books: Books, platform: Platform, admin: ServedAdmin) -> None:
    async with listening(Receiver()) as receiver:
        made = await create(admin, kind="budget_day", threshold="80", webhook_url=receiver.url, allow_private=True)
        await charged(books)
        await alert_sender.watch(platform)
        with admin.at.client() as client:
            unread = await admin.call(client.get, f"/alerts/{made['id']}")
            assert (unread["value"], unread["threshold"]) == (None, "80")
            await books.execute(
                "INSERT INTO usage_limit (id, organization_id, scope, subject, budget_daily_pico)"
                " VALUES ('limit_a', 'org_post', 'organization', '', 170000000)"
            )
            await alert_sender.watch(platform)
            await AlertSender(platform).step()
    ((_, (event,)),) = receiver.received
    assert event["data"]["value"] == "90.44"


async def test_bad_alerts_are_refused_in_words_and_nothing_is_made(
    books: Books, platform: Platform, admin: ServedAdmin
) -> None:
    url = {"webhook_url": "https://example.com/hook"}
    for fields, words in (
        ({}, "tells somebody"),
        ({"emails": [TO]}, "no mail server"),
        (url | {"threshold": "1e3"}, "not an amount of money"),
        (url | {"threshold": "-1"}, "more than zero"),
        (url | {"threshold": "0.0000000000001"}, "not an amount of money"),
        (url | {"currency": "CNY"}, "pays in USD"),
        (url | {"kind": "balance"}, "pays afterwards"),
        (url | {"kind": "budget_day", "threshold": "0.001"}, "percentage"),
        (url | {"kind": "balance", "organization": None}, "is of an organization"),
        ({"webhook_url": "https://127.0.0.1/x"}, "not a public address"),
        ({"webhook_url": "http://example.com/x"}, "https"),
        (url | {"name": ""}, "name"),
    ):
        with pytest.raises(ArkwrightError, match=words):
            await create(admin, **fields)
    with Mailbox().listening() as mailbox:
        with_mail(platform, mailbox)
        for address in ("no", "a@b\r\nBcc: c@d", "a b@c", "ü@example.com"):
            with pytest.raises(ArkwrightError, match=r"no mail address|control characters"):
                await create(admin, emails=[address])
    assert await books.value("SELECT count(*) FROM alert") == 0


async def test_a_password_goes_to_nobody_who_could_read_it(platform: Platform, capfd: Any) -> None:
    letter = Mail(id="alm_1", to=TO, subject="s", text="t")
    with Mailbox(login=("ark", "seekrit")).listening() as mailbox:
        with_mail(platform, mailbox, smtp_login="ark", smtp_password="seekrit")
        assert (await mail.send(platform.settings, letter)).ok
        with_mail(platform, mailbox, smtp_login="ark", smtp_password="wrong word")
        refused = await mail.send(platform.settings, letter)
        assert refused.status == 535
        mailbox.lines.clear()
        with_mail(platform, mailbox, smtp_login="ark", smtp_password="seekrit", smtp_tls="starttls")
        unsafe = await mail.send(platform.settings, letter)
        assert not unsafe.ok
        assert not [line for line in mailbox.lines if line.startswith("AUTH")]
    with_mail(platform, mailbox, smtp_host="mail.example.com", smtp_login="ark", smtp_password="seekrit")
    readable = await mail.send(platform.settings, letter)
    assert "readable" in readable.error
    said = "".join(capfd.readouterr())
    for outcome in (refused, unsafe, readable):
        assert "seekrit" not in outcome.error + said
        assert "wrong word" not in outcome.error + said


async def test_a_mail_server_that_is_silent_is_left(platform: Platform) -> None:
    with Mailbox(lambda _: "hang").listening() as mailbox:
        with_mail(platform, mailbox, smtp_timeout_s=0.3)
        outcome = await mail.send(platform.settings, Mail(id="alm_1", to=TO, subject="s", text="t"))
    assert not outcome.ok
    assert outcome.duration_us < 10_000_000


async def test_the_commands_say_what_there_is(
    books: Books, platform: Platform, admin: ServedAdmin, capsys: pytest.CaptureFixture[str]
) -> None:
    async with listening(Receiver()) as receiver:
        await admin.run(command.create, "much", "spend_day", "5", organization="org_post", webhook_url=receiver.url,
                        allow_private=True)  # fmt: skip
        assert "whsec_" in capsys.readouterr().out
        async with books.database.connection() as connection:
            (alert,) = await store.listing(connection, None, every=True, after="", limit=9)
        assert await admin.run(command.send_test, alert.id) == 0
        assert receiver.received[0][1][0]["data"]["test"] is True
        await admin.run(command.update, alert.id, threshold="7.5", enabled=False)
        await admin.run(command.list_, organization="org_post")
        shown = capsys.readouterr().out
        assert "7.50" in shown
        await admin.run(command.delete, alert.id)
    assert await books.value("SELECT count(*) FROM alert") == 0
    actions = await books.value("SELECT array_agg(action ORDER BY id) FROM audit_log WHERE action LIKE 'alert.%%'")
    assert actions == ["alert.create", "alert.update", "alert.delete"]
    assert "whsec_" not in str(await books.value("SELECT jsonb_agg(to_jsonb(audit_log)) FROM audit_log"))


async def test_an_alert_of_another_is_not_there(books: Books, platform: Platform, admin: ServedAdmin) -> None:
    made = await create(admin, webhook_url="https://example.com/hook")
    async with books.database.connection() as connection:
        mine, other = [await organizations.get(connection, name) for name in ("org_post", "org_other")]
        assert isinstance(await alerts.get(connection, made["id"], mine), Alert)
        for reference in (made["id"], "much"):
            with pytest.raises(ArkwrightError) as refused:
                await alerts.get(connection, reference, other)
            assert refused.value.status == 404

"""Webhooks: every event, in order, at least once, signed; whatever the receiver does and whoever is killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from arkwright.basics.errors import ArkwrightError
from arkwright.cli import webhooks as command
from arkwright.control.platform import Platform
from arkwright.control.webhook_client import ANSWER_BYTES_MAX, Client
from arkwright.control.webhook_sender import Sender
from arkwright.store import webhooks as store
from arkwright.store.webhooks import Webhook
from tests.doubles.books import Books
from tests.doubles.postings import Posting
from tests.doubles.receiver import Receiver, listening, signature_holds
from tests.doubles.served_admin import ServedAdmin

pytestmark = pytest.mark.anyio
DEADLINE_S = 30.0


async def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def sending(platform: Platform) -> AsyncIterator[None]:
    task = asyncio.create_task(Sender(platform, tick_s=0.02, first_delay_s=0.02).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def posted(books: Books, count: int, organization_id: str = "org_post") -> list[str]:
    async with books.database.connection() as connection:
        return sorted(await Posting(organization_id).post(connection, count))


async def create(admin: ServedAdmin, name: str, url: str, **fields: Any) -> dict[str, Any]:
    body = {"name": name, "url": url, "allow_private": True, "from_start": True} | fields
    with admin.at.client() as client:
        answer: dict[str, Any] = await admin.call(client.post, "/webhooks", body)
    return answer


async def found(books: Books, name: str) -> Webhook:
    async with books.database.connection() as connection:
        webhook = await store.find(connection, name)
    assert webhook is not None
    return webhook


async def noted(books: Books, name: str, events: int) -> None:
    """What the receiver answered is noted a moment later."""
    end = time.monotonic() + DEADLINE_S
    while (await found(books, name)).delivered < events:
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def test_events_arrive_in_order_and_signed(books: Books, platform: Platform, admin: ServedAdmin) -> None:
    first = await posted(books, 30)
    async with listening(Receiver()) as receiver, sending(platform):
        hook = await create(admin, "all", receiver.url)
        await until(lambda: len(receiver.ids) == 30)
        second = await posted(books, 5, "org_other")
        await until(lambda: len(receiver.ids) == 35)
        await noted(books, "all", 35)
    assert receiver.ids == first + second
    for headers, (event,) in receiver.received:
        assert signature_holds(hook["secret"], headers)
        assert not signature_holds("whsec_" + "A" * 40, headers)
        assert headers["content-type"] == "application/cloudevents+json"
        assert headers["webhook-id"] == f"msg_{event['id']}"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300
        assert (event["specversion"], event["type"], event["source"]) == ("1.0", "maas.usage.v1", "urn:arkwright:usage")
    assert (await found(books, "all")).delivered == 35


async def test_batches_of_one_organization(books: Books, platform: Platform, admin: ServedAdmin) -> None:
    await posted(books, 3, "org_other")
    mine = await posted(books, 25)
    async with listening(Receiver()) as receiver, sending(platform):
        hook = await create(admin, "mine", receiver.url, organization="org_post", batch=10, source="urn:me")
        await until(lambda: len(receiver.ids) == 25)
    assert receiver.ids == mine
    assert [len(events) for _, events in receiver.received] == [10, 10, 5]
    for headers, events in receiver.received:
        assert headers["content-type"] == "application/cloudevents-batch+json"
        assert signature_holds(hook["secret"], headers)
        assert {event["source"] for event in events} == {"urn:me"}


async def test_a_receiver_that_fails_gets_each_event_later_and_in_order(
    books: Books, platform: Platform, admin: ServedAdmin
) -> None:
    """It fails in every way it can, twice each; nothing is left out, nothing overtakes."""
    ways: list[int | str] = [500, "hang up", 429, "garbage", "redirect", 503, 404, "hang up"]

    def behave(number: int) -> int | str:
        return ways[(number // 3) % len(ways)] if number % 3 < 2 else 200

    ids = await posted(books, 12)
    async with listening(Receiver(behave)) as receiver, sending(platform):
        await create(admin, "frail", receiver.url)
        await until(lambda: len(receiver.ids) == 12)
        await noted(books, "frail", 12)
    assert receiver.ids == ids
    assert [event["id"] for _, (event,) in receiver.seen] == [id_ for id_ in ids for _ in range(3)]
    tries = [{headers["webhook-id"] for headers, _ in receiver.seen[at : at + 3]} for at in range(0, 36, 3)]
    assert all(len(names) == 1 for names in tries), "each try of a message has the same id"
    async with books.database.connection() as connection:
        webhook = await found(books, "frail")
        deliveries = await store.deliveries(connection, webhook.id, 100)
    assert (webhook.failures, webhook.last_error, webhook.delivered) == (0, "", 12)
    assert len(deliveries) == 36
    said = " ".join(delivery.error for delivery in deliveries)
    assert "answered 500" in said
    assert "redirects are not followed" in said
    assert "RemoteProtocolError" in said


async def test_one_that_hangs_holds_up_nobody_else(
    books: Books, platform: Platform, admin: ServedAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await posted(books, 5)
    async with listening(Receiver(lambda _: "hang")) as slow, listening(Receiver()) as quick, sending(platform):
        await create(admin, "slow", slow.url)
        await create(admin, "quick", quick.url)
        await until(lambda: quick.ids == ids)
        assert len(slow.seen) == 1
    monkeypatch.undo()
    async with listening(Receiver(lambda _: "hang")) as slow, Client(allow_private=True, total_s=0.2) as client:
        outcome = await client.post(slow.url, b"{}", {})
    assert (outcome.ok, outcome.status) == (False, 0)
    assert "no whole answer within 0.2 s" in outcome.error


async def test_an_answer_without_end_is_not_read(books: Books, platform: Platform, admin: ServedAdmin) -> None:
    ids = await posted(books, 2)
    async with listening(Receiver(lambda _: "endless")) as receiver, sending(platform):
        await create(admin, "endless", receiver.url)
        await until(lambda: receiver.ids == ids)
    assert ANSWER_BYTES_MAX < 1_000_000


async def test_paused_nothing_is_sent_and_nothing_is_lost(
    books: Books, platform: Platform, admin: ServedAdmin, capsys: pytest.CaptureFixture[str]
) -> None:
    async with listening(Receiver()) as receiver, sending(platform):
        await create(admin, "hook", receiver.url)
        first = await posted(books, 2)
        await until(lambda: receiver.ids == first)
        await admin.run(command.pause, "hook")
        second = await posted(books, 3)
        async with listening(Receiver()) as other:
            await create(admin, "other", other.url)
            await until(lambda: len(other.ids) == 5)
        assert receiver.ids == first
        await admin.run(command.resume, "hook")
        await until(lambda: receiver.ids == first + second)
        capsys.readouterr()
        await admin.run(command.deliveries, "hook", json_output=True)
        assert [row["status"] for row in json.loads(capsys.readouterr().out)] == [204] * 5
        await admin.run(command.delete, "hook")
        await posted(books, 1)
        await asyncio.sleep(0.3)
        assert len(receiver.ids) == 5
    log = await books.value("SELECT array_agg(action ORDER BY id) FROM audit_log WHERE subject = 'webhook hook'")
    assert log == ["webhook.create", "webhook.update", "webhook.update", "webhook.delete"]
    assert await books.value(
        "SELECT (after->>'allow_private')::boolean FROM audit_log WHERE action = 'webhook.create' LIMIT 1"
    )


async def test_one_that_is_gone_is_paused(books: Books, platform: Platform, admin: ServedAdmin) -> None:
    await posted(books, 1)
    async with listening(Receiver(lambda _: 410)) as receiver, sending(platform):
        await create(admin, "gone", receiver.url)
        await until(lambda: receiver.seen)
        end = time.monotonic() + DEADLINE_S
        while not (await found(books, "gone")).paused:
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
    assert (await found(books, "gone")).last_error == "answered 410"


async def test_a_receiver_can_ask_for_time(books: Books, platform: Platform, admin: ServedAdmin) -> None:
    await posted(books, 1)
    receiver = Receiver(lambda _: 429)
    receiver.extra = "retry-after: 1800\r\n"
    async with listening(receiver), sending(platform):
        await create(admin, "busy", receiver.url)
        await until(lambda: receiver.seen)
        end = time.monotonic() + DEADLINE_S
        while not (webhook := await found(books, "busy")).failures:
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
    assert webhook.next_attempt_at.timestamp() - time.time() > 1_500


async def test_two_senders_take_turns(books: Books, platform: Platform, admin: ServedAdmin) -> None:
    ids = await posted(books, 40)
    async with listening(Receiver()) as receiver, sending(platform), sending(platform):
        await create(admin, "hook", receiver.url)
        await until(lambda: len(receiver.ids) >= 40)
    assert receiver.ids == ids


async def test_a_kill_between_delivery_and_note_sends_again_and_loses_nothing(
    books: Books, admin: ServedAdmin, clean_database_url: str, tmp_path: Path
) -> None:
    """The receiver kills the sender when it has a message, before or after it answers; twelve times."""
    ids = await posted(books, 60)
    process: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        arguments = [sys.executable, "-m", "tests.doubles.webhook_sending", clean_database_url, str(tmp_path)]
        process.append(subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    kills = 0
    receiver = Receiver()

    def kill(number: int) -> None:
        nonlocal kills
        if number % 5 == 4 and kills < 12:
            kills += 1
            os.kill(process[-1].pid, signal.SIGKILL)
            process[-1].wait()
            start()

    receiver.on_message = kill
    async with listening(receiver):
        await create(admin, "hook", receiver.url)
        start()
        try:
            await until(lambda: len(set(receiver.ids)) == 60)
        finally:
            process[-1].kill()
            process[-1].wait()
    assert kills == 12
    seen = [event["id"] for _, (event,) in receiver.seen]
    assert list(dict.fromkeys(seen)) == ids, "none is lost, and the first time of each is in order"
    assert len(seen) > 60, "what was killed before its note came again"
    by_id = {event["id"]: headers["webhook-id"] for headers, (event,) in receiver.seen}
    assert all(headers["webhook-id"] == by_id[event["id"]] for headers, (event,) in receiver.seen)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com/x", "https"),
        ("https://127.0.0.1/x", "not a public address"),
        ("https://[::1]/x", "not a public address"),
        ("https://169.254.169.254/latest/meta-data", "not a public address"),
        ("https://10.0.0.8/x", "not a public address"),
        ("https://user:password@example.com/x", "password"),
        ("ftp://example.com", "https"),
        ("https://", "host"),
        ("https://example.com/#x", "fragment"),
        ("https://exa mple.com/", "blank"),
        ("https://example.com:99999/", "URL"),
        ("https://" + "a" * 2_001, "at most"),
    ],
)
async def test_urls_that_lead_elsewhere_are_refused(books: Books, admin: ServedAdmin, url: str, said: str) -> None:
    with pytest.raises(ArkwrightError, match=said):
        await create(admin, "hook", url, allow_private=False)
    assert await books.value("SELECT count(*) FROM webhook") == 0


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "2130706433", "0x7f.1"])
async def test_names_are_judged_by_where_they_lead(host: str) -> None:
    """When it connects: `localhost` is a name like any other until it is resolved."""
    async with listening(Receiver()) as receiver:
        port = receiver.url.rsplit(":", 1)[1]
        async with Client(allow_private=False) as client:
            outcome = await client.post(f"http://{host}:{port}", b"{}", {})
        assert (outcome.ok, outcome.status) == (False, 0)
        assert "not public" in outcome.error or "ConnectError" in outcome.error or "gaierror" in outcome.error
        assert receiver.seen == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"batch": 0}, "batch"),
        ({"batch": 501}, "batch"),
        ({"secret": "word"}, "whsec_"),
        ({"secret": "whsec_YQ=="}, "24 to 64"),
        ({"source": ""}, "source"),
        ({"organization": "nobody"}, "nobody"),
        ({"more": 1}, "more"),
    ],
)
async def test_bad_fields_are_named(books: Books, admin: ServedAdmin, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ArkwrightError, match=said):
        await create(admin, "hook", "https://example.com/", **fields)
    assert await books.value("SELECT count(*) FROM webhook") == 0


async def test_a_secret_is_told_once_and_kept_sealed(
    books: Books, admin: ServedAdmin, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = await create(admin, "hook", "https://example.com/")
    capsys.readouterr()
    await admin.run(command.list_, json_output=True)
    listed = capsys.readouterr().out
    assert hook["secret"] not in listed
    kept = await books.value("SELECT string_agg(encode(sealed_secret, 'escape'), '') FROM webhook")
    assert hook["secret"] not in kept
    assert hook["secret"] not in await books.value("SELECT string_agg(after::text, '') FROM audit_log")
    with pytest.raises(ArkwrightError, match="already"):
        await create(admin, "hook", "https://example.com/")


async def test_a_test_is_sent_at_once_and_moves_nothing(
    books: Books, admin: ServedAdmin, capsys: pytest.CaptureFixture[str]
) -> None:
    async with listening(Receiver()) as receiver:
        hook = await create(admin, "hook", receiver.url)
        before = await found(books, "hook")
        assert await admin.run(command.send_test, "hook", json_output=True) == 0
        receiver.behave = lambda _: 500
        assert await admin.run(command.send_test, "hook", json_output=True) == 1
    assert signature_holds(hook["secret"], receiver.seen[0][0])
    assert receiver.seen[0][1][0]["type"] == "maas.test.v1"
    assert (await found(books, "hook")).place == before.place
    capsys.readouterr()

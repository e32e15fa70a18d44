"""Signatures by the Standard Webhooks convention, waits that grow, URLs that may be told."""

import pytest

from arkwright.domain import webhooks as rules
from arkwright.domain.webhooks import Message


def test_the_conventions_own_vector() -> None:
    """From the reference implementations' tests."""
    key = rules.key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    sent = Message("msg_p5jXN8AQM9LWM0D4loKWxJek", "application/json", b'{"test": 2432232314}')
    told = rules.headers(key, sent, 1_614_265_330)
    assert told["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%%", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "A" * 400])
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        rules.key_of(secret)
    assert rules.key_of(rules.secret_text(bytes(32))) == bytes(32)


def test_waits_grow_to_a_bound_and_differ() -> None:
    for chance in (0.0, 0.5, 1.0):
        waits = [rules.delay_s(failures, chance) for failures in range(1, 100)]
        assert waits == sorted(waits)
        assert max(waits) <= rules.DELAY_MAX_S
    assert rules.delay_s(1, 0.0) == 0.5
    assert rules.delay_s(1, 1.0) == 1.0
    assert rules.delay_s(4, 1.0) == 8.0


def test_a_messages_id_follows_from_its_events() -> None:
    events = [{"id": "a"}, {"id": "b"}]
    assert rules.message(events[:1], batched=False).id == "msg_a"
    assert rules.message(events, batched=True) == rules.message(events, batched=True)
    assert rules.message(events, batched=True).id != rules.message(events[:1], batched=True).id
    assert rules.message(events[:1], batched=True).body == b'[{"id":"a"}]'

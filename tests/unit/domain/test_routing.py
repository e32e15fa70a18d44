"""Which target a request is sent to, and what is remembered for that."""

from collections import Counter
from random import Random

from arkwright.domain.catalog import Target
from arkwright.domain.routing import (
    BLOCKS,
    PACE_KNOWN_US,
    TRIES_MAX,
    Affinity,
    Ideas,
    Outlook,
    Prefixes,
    Standing,
    blocks,
    by_session,
    order,
    smoothed,
)

TARGETS = [Target(f"t{number}", "m", "", "m") for number in range(4)]


def outlook(seed: int = 1, targets: list[Target] = TARGETS, ideas: Ideas | None = None) -> Outlook:
    return Outlook({target.id: Standing() for target in targets}, Prefixes(), Random(seed), ideas or Ideas())


def said(seed: int, length: int) -> bytes:
    return Random(seed).randbytes(length)


def test_a_block_covers_everything_before_it() -> None:
    one, other = said(1, 4096), said(2, 4096)
    assert len(blocks(one)) == 8
    assert blocks(one + other)[:8] == blocks(one)
    changed = b"x" + one[1:]
    assert not set(blocks(changed)) & set(blocks(one))


def test_long_conversations_are_covered_by_longer_blocks_and_in_the_end_not_at_all() -> None:
    assert len(blocks(bytes(sum(BLOCKS) + 100_000))) == len(BLOCKS)
    assert len(blocks(bytes(sum(BLOCKS[:65])))) == 65
    assert blocks(b"short") == []


def test_a_match_is_the_number_of_leading_blocks_shown() -> None:
    prefixes, first = Prefixes(), said(1, 2048)
    prefixes.show("a", blocks(first))
    assert prefixes.match("a", blocks(first + said(2, 2048))) == 4
    assert prefixes.match("a", blocks(said(3, 2048))) == 0
    assert prefixes.match("b", blocks(first)) == 0
    assert prefixes.owner(blocks(first + said(2, 2048))) == "a"
    assert prefixes.owner(blocks(said(3, 2048))) is None


def test_the_memory_of_a_target_is_bounded_and_forgets_the_end_of_the_eldest_first() -> None:
    prefixes, old, new = Prefixes(remembered=8), blocks(said(1, 4096)), blocks(said(2, 2048))
    prefixes.show("a", old)
    prefixes.show("a", new)
    assert prefixes.match("a", old) == 4
    assert prefixes.match("a", new) == 4


def test_the_memory_of_all_targets_together_is_bounded() -> None:
    prefixes = Prefixes(owners=100)
    for number in range(50):
        prefixes.show(f"t{number}", blocks(said(number, 8192)))
    assert sum(prefixes.owner(blocks(said(number, 8192))) is not None for number in range(50)) <= 7


def test_a_target_that_is_gone_is_forgotten() -> None:
    prefixes, hashes = Prefixes(), blocks(said(1, 2048))
    prefixes.show("a", hashes)
    prefixes.forget("a")
    assert prefixes.match("a", hashes) == 0
    assert prefixes.owner(hashes) is None


def test_the_least_outstanding_tokens_come_first() -> None:
    seen = outlook()
    for target, tokens in zip(TARGETS, (500, 100, 900, 300), strict=True):
        seen.standings[target.id].tokens = tokens
    assert [target.id for target in order(TARGETS, Affinity(), seen, 0)] == ["t1", "t3", "t0", "t2"]


def test_chance_decides_between_equals() -> None:
    seen = outlook()
    firsts = Counter(order(TARGETS, Affinity(), seen, 0)[0].id for _ in range(400))
    assert min(firsts.values()) > 60
    assert len(firsts) == 4


def test_a_conversation_stays_where_it_was_while_load_is_even() -> None:
    seen, conversation = outlook(), said(1, 8192)
    seen.prefixes.show("t2", blocks(conversation))
    for target in TARGETS:
        seen.standings[target.id].tokens = 1000
    for _ in range(20):
        asked = Affinity(conversation + said(2, 600), 2200, 100)
        assert order(TARGETS, asked, seen, 0)[0].id == "t2"


def test_affinity_is_dropped_when_its_target_has_more_to_do_than_its_cache_saves() -> None:
    seen, conversation = outlook(), said(1, 8192)
    seen.prefixes.show("t2", blocks(conversation))
    asked = Affinity(conversation, 2048, 100)
    seen.standings["t2"].tokens = 2000
    assert order(TARGETS, asked, seen, 0)[0].id == "t2"
    seen.standings["t2"].tokens = 2100
    assert order(TARGETS, asked, seen, 0)[0].id != "t2"


def test_the_owner_is_looked_at_in_a_large_fleet_and_only_for_a_tenth_of_the_conversation() -> None:
    many = [Target(f"t{number}", "m", "", "m") for number in range(500)]
    seen, beginning = outlook(targets=many), said(1, 4096)
    seen.prefixes.show("t77", blocks(beginning))
    near = Affinity(beginning + said(2, 8 * 4096), 9 * 1024, 100)
    far = Affinity(beginning + said(2, 10 * 4096), 11 * 1024, 100)
    assert order(many, near, seen, 0)[0].id == "t77"
    assert order(many, far, seen, 0)[0].id != "t77"


def test_a_slow_target_is_asked_less_and_found_out_again_when_it_was_not_heard_of_for_long() -> None:
    seen = outlook()
    for target in TARGETS:
        standing = seen.standings[target.id]
        standing.inter_token_us, standing.tokens, standing.heard_us = 10_000, 100, 1
    seen.standings["t0"].inter_token_us = 60_000
    seen.standings["t0"].tokens = 50
    asked = Affinity(b"", 100, 100)
    assert order(TARGETS, asked, seen, 2)[-1].id == "t0"
    for target in TARGETS[1:]:
        seen.standings[target.id].heard_us = PACE_KNOWN_US
    assert order(TARGETS, asked, seen, PACE_KNOWN_US + 1)[0].id == "t0"


def test_an_order_names_each_target_once_and_a_bounded_number_of_them() -> None:
    for count in (1, 2, 3, 5, 40):
        targets = [Target(f"t{number}", "m", "", "m") for number in range(count)]
        found = [target.id for target in order(targets, Affinity(), outlook(count, targets), 0)]
        assert len(found) == len(set(found)) == min(count, TRIES_MAX)


def test_a_session_moves_only_when_its_target_leaves() -> None:
    sessions = [f"org/{number}".encode() for number in range(300)]
    before = {session: by_session(TARGETS, session, {})[0].id for session in sessions}
    after = {session: by_session(TARGETS[:3], session, {})[0].id for session in sessions}
    assert all(after[session] == place for session, place in before.items() if place != "t3")
    assert min(Counter(before.values()).values()) > 40


def test_sessions_follow_weights() -> None:
    sessions = [f"org/{number}".encode() for number in range(2000)]
    firsts = Counter(by_session(TARGETS[:2], session, {("t0", "m"): 9, ("t1", "m"): 1})[0].id for session in sessions)
    assert 120 < firsts["t1"] < 290


def test_means_decay_and_stay_whole() -> None:
    mean = 0
    for _ in range(60):
        mean = smoothed(mean, 1000)
    assert mean == 1000
    for _ in range(60):
        mean = smoothed(mean, 5000)
    assert 4900 < mean <= 5000


def test_what_is_expected_to_be_written_is_no_more_than_what_may_be() -> None:
    standing = Standing()
    assert Affinity(output_tokens_max=10).output_tokens(standing) == 10
    standing.output_tokens = 40
    assert Affinity(output_tokens_max=1000).output_tokens(standing) == 40
    assert Affinity().output_tokens(standing) == 40

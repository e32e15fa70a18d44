"""Replicas killed -9 under streams: no request fails, no word is lost or told twice, every bill is of what came."""

from pathlib import Path

import pytest

from tests.exactness.fleet import ENGINE, KEY, WEIGHTS, bills_are_of_words, double, engine, fleet, text_of

pytestmark = pytest.mark.anyio

PROMPTS = ("Tell me a short story about a cat.", "Count from 1 to 30, separated by commas.")
TOKENS = 24


async def test_four_replicas_die_in_turn_under_sixty_four_streams(tmp_path: Path) -> None:
    async with fleet(tmp_path, double(50), 4, ENGINE) as replicas:
        await replicas.storm(streams=64, seconds=6, kill_every_s=0.7, tokens=30)
        assert replicas.failed() == []
        bills_are_of_words(replicas, 30)
        replicas.nothing_left()
        assert replicas.kills >= 4
        assert replicas.outcomes()["continued"] >= replicas.kills, "nothing was going on when they died"


@pytest.mark.skipif(not WEIGHTS.exists(), reason="the weights of the default model are not here")
async def test_an_engine_that_is_killed_leaves_no_seam(tmp_path: Path) -> None:
    """Two real engines; the greedy answer is the same, wherever its engine was killed."""
    async with fleet(tmp_path, engine(tmp_path, 2), 2, ENGINE, KEY) as engines:
        for prompt, cuts in zip(PROMPTS, ((1, 9, 17), (4, 13, 22)), strict=True):
            undisturbed = await engines.stream(prompt, TOKENS)
            for cut in cuts:
                answer = await engines.stream_and_kill(prompt, TOKENS, cut)
                assert text_of(answer) == text_of(undisturbed), cut
                assert answer.events[-2]["usage"]["total_tokens"] == undisturbed.events[-2]["usage"]["total_tokens"]
        assert engines.outcomes() == {"continued": 6, "served": 6}

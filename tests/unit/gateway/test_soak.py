"""The soak can fail: what grows is told."""

from tests.integration.gateway.soak import FDS_GROWTH_MAX, RSS_GROWTH_MAX, Look, grown

WARM = Look(900.0, 60 * 2**20, 24, 300_000)


def test_what_stays_within_its_bounds_has_not_grown() -> None:
    assert grown(WARM, Look(3600.0, WARM.rss + RSS_GROWTH_MAX, WARM.fds + FDS_GROWTH_MAX, 1_200_000)) == []
    assert grown(WARM, Look(3600.0, WARM.rss - 2**20, WARM.fds - 1, 1_200_000)) == []


def test_a_leak_is_told() -> None:
    (memory,) = grown(WARM, WARM._replace(rss=WARM.rss + 90 * 2**20, requests=1_200_000))
    assert memory == "memory grew by 90.0 MiB: 105 bytes a request"
    (descriptors,) = grown(WARM, WARM._replace(fds=WARM.fds + FDS_GROWTH_MAX + 1))
    assert descriptors == "descriptors grew from 24 to 27"

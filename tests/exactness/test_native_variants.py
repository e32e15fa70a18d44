"""Native code that is wrong on purpose is found out, and native words are safe between any two of them."""

from pathlib import Path

import pytest

from arkwright.host.leases import LeaseWords
from arkwright.host.limit_words import Line
from arkwright.host.native_permits import QuickPermits
from arkwright.store.database import Database
from tests.doubles import both_journals, native_variants
from tests.doubles.native_variants import Change
from tests.exactness.test_kill_points import killed
from tests.unit.host.test_permits import NANO, Desk, _act, _bystander_still_counts

pytestmark = pytest.mark.skipif(not both_journals.NATIVE_BUILT, reason="native modules are not built here")

ACK_BEFORE_FSYNC = (
    Change(
        "_journal_core.h",
        "    if ((failed = j->calls.sync(j->disk, j->fd))) return failed;\n",
        "",
    ),
    Change(
        "_journal_core.h",
        "        if (awaited > before) j->notify(j->owner);\n",
        "        if (awaited > before) j->notify(j->owner);\n"
        "        if ((failed = j->calls.sync(j->disk, j->fd))) return failed;\n",
    ),
)
# From the n-th store on, none reaches the words: as a kill before it leaves them.
DYING = (
    Change(
        "_permits_core.h",
        "static inline void ak_set(int64_t *words, int64_t at, int64_t value) {",
        "static int ak_left = -1, ak_died = 0;\n"
        "static inline void ak_set(int64_t *words, int64_t at, int64_t value) {\n"
        "    if (!ak_left) { ak_died = 1; return; }\n"
        "    if (ak_left > 0) ak_left--;\n",
    ),
    Change("_permits.pyx", "    int64_t AK_SECOND_NS\n", "    int64_t AK_SECOND_NS\n    int ak_left, ak_died\n"),
    Change(
        "_permits.pyx",
        "\n\ndef _none(value):\n",
        "\n\ndef arm(int left):\n"
        "    global ak_left, ak_died\n"
        "    died = ak_died\n"
        "    ak_left, ak_died = left, 0\n"
        "    return died\n"
        "\n\ndef _none(value):\n",
    ),
)


@pytest.mark.anyio
async def test_a_native_journal_that_tells_before_the_disk_has_it_is_found_out(
    database: Database, tmp_path: Path
) -> None:
    variant = native_variants.build("store._journal", ACK_BEFORE_FSYNC, tmp_path / "variant")
    report = await killed(
        database, tmp_path / "platform", kills=20, requests=300, power_cut=True, writer="native", variant=str(variant)
    )
    assert report.lost, f"a journal that tells too early passes for right: {report}"


@pytest.fixture(scope="module")
def dying(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native_variants.build("host._permits", DYING, tmp_path_factory.mktemp("variant"))


@pytest.mark.parametrize("act", ["take", "settle-less", "settle-more"])
def test_a_kill_between_any_two_native_words_counts_too_much_and_never_too_little(
    tmp_path: Path, dying: Path, act: str
) -> None:
    """As `test_permits` has it for the Python."""
    module = native_variants.load("host._permits", dying)
    died = 0
    for writes in range(40):
        with LeaseWords.create(tmp_path / "words", 1, rows=1, slots=2, limit_rows=2) as words:
            words.set_ceiling(0, 1_000 * NANO)
            slot = words.claim_slot(1, "inc_a")
            desk = Desk(words, slot, "python")
            desk.permits = QuickPermits(slot, module.NativePermits(slot), module.NativeGroup)
            desk.permits.clock = lambda desk=desk: int(desk.now_s * 1e9)  # type: ignore[misc]
            group = desk.group(Line(0, 10, 1_000, 5, 500, 900), Line(1, 10, 1_000), prepaid=True)
            bystander = desk.taken(group, cost_pico=100 * NANO, tokens=100)
            victim = desk.taken(group, cost_pico=100 * NANO, tokens=100) if act != "take" else None
            module.arm(writes)
            _act(desk, act, group, victim)
            died += module.arm(-1)
            _bystander_still_counts(desk, group, 60 if act.startswith("settle") else 0)
            assert words.held(0) >= bystander.hold_pico
            if act.startswith("settle"):
                assert words.reserved(0) >= bystander.hold_pico + 60 * NANO
            slot.close()
            words.reset_slot(0)
            assert words.held(0) == 0
    assert died >= 4, "no write was killed: this proves nothing"

"""`hf:` against a hub on this machine: redirects, token, resume, a changed file, a wrong one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from arkwright.basics.errors import Forbidden, InvalidInput, NotFound, Unavailable, Unprocessable
from arkwright.sources import hf
from arkwright.sources.fetching import Wanted
from arkwright.sources.pulling import pull
from arkwright.store.model_list import PinnedFile
from arkwright.store.weights import ModelStore
from tests.integration.models.hub import Hub
from tests.unit.sources.test_gguf_header import written

SOURCE = "hf:owner/new-name/sub dir/tiny.gguf@v1"
PATH = "/owner/new-name/resolve/v1/sub%20dir/tiny.gguf"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub(PATH, written(tmp_path / "origin.gguf").read_bytes() + bytes(range(256)) * 8192)
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.endpoint}/")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(hf, "_PAUSE_S", 0.01)
    yield hub
    hub.close()


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def downloads(hub: Hub) -> list[str | None]:
    """The Range of each request for bytes."""
    return [asked for method, path, asked, _ in hub.requests if method == "GET" and path.startswith("/cdn/")]


def test_a_file_comes_through_the_redirect_to_the_cdn(hub: Hub, store: ModelStore) -> None:
    told = []
    model = pull(store, SOURCE, lambda done, total, what: told.append((done, total, what)))
    assert model.weights.read_bytes() == hub.content
    assert model.manifest.files[0].path == "tiny.gguf"
    assert store.verify(SOURCE) == []
    assert told[-1] == (len(hub.content), len(hub.content), "tiny.gguf")
    assert [done for done, *_ in told] == sorted(done for done, *_ in told)
    assert sorted(path.name for path in model.directory.iterdir()) == ["manifest.json", "tiny.gguf"]
    assert downloads(hub) == [None]


def test_a_renamed_repository_is_followed(hub: Hub, store: ModelStore) -> None:
    assert pull(store, SOURCE.replace("new-name", "old-name")).weights.read_bytes() == hub.content


def test_a_token_goes_to_the_hub_and_not_to_the_cdn(
    hub: Hub, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_secret"
    with pytest.raises(Forbidden, match="set HF_TOKEN"):
        pull(store, SOURCE)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(Forbidden, match="does its account have access"):
        pull(store, SOURCE)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert pull(store, SOURCE).weights.read_bytes() == hub.content
    assert {authorization for _, path, _, authorization in hub.requests if path.startswith("/cdn/")} == {None}


def test_a_broken_line_is_taken_up_where_it_broke(hub: Hub, store: ModelStore) -> None:
    hub.break_off_after, hub.break_offs = 600_000, 2
    assert pull(store, SOURCE).weights.read_bytes() == hub.content
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in downloads(hub) if asked]
    assert len(starts) == 2
    assert 0 < starts[0] < starts[1] <= 1_200_000


def test_an_interrupted_pull_is_gone_on_with_by_the_next(hub: Hub, store: ModelStore) -> None:
    def interrupted(done: int, total: int | None, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(store, SOURCE, interrupted)
    assert store.all() == []
    assert pull(store, SOURCE).weights.read_bytes() == hub.content
    assert [asked is None for asked in downloads(hub)] == [True, False]


def test_a_server_that_knows_no_range_sends_all_again(hub: Hub, store: ModelStore) -> None:
    hub.break_off_after, hub.break_offs, hub.knows_range = 600_000, 1, False
    assert pull(store, SOURCE).weights.read_bytes() == hub.content


def test_a_file_that_changed_meanwhile_is_begun_anew(hub: Hub, store: ModelStore) -> None:
    def interrupted(done: int, total: int | None, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(store, SOURCE, interrupted)
    hub.content = hub.content[:-1] + b"!"
    assert pull(store, SOURCE).weights.read_bytes() == hub.content
    assert downloads(hub) == [None, None]


def test_other_bytes_than_promised_are_refused_and_deleted(hub: Hub, store: ModelStore) -> None:
    hub.lies = bytes(len(hub.content))
    with pytest.raises(Unprocessable) as refused:
        pull(store, SOURCE)
    assert refused.value.code == "wrong_hash"
    assert [*store.root.rglob("tiny.gguf"), *store.root.rglob("tiny.gguf.partial")] == []
    hub.lies = b""
    assert pull(store, SOURCE).weights.read_bytes() == hub.content


def test_a_pinned_hash_overrules_what_the_hub_promises(hub: Hub, tmp_path: Path) -> None:
    pin = PinnedFile(path="tiny.gguf", sha256="0" * 64, bytes=1)
    with pytest.raises(Unprocessable, match="0" * 64):
        hf.fetch(Wanted(source=SOURCE, into=tmp_path, files=(pin,)), lambda *_: None)


def test_a_line_that_breaks_ever_again_is_taken_up_as_long_as_something_comes(hub: Hub, store: ModelStore) -> None:
    hub.break_off_after, hub.break_offs = 100_000, 1000
    assert pull(store, SOURCE).weights.read_bytes() == hub.content
    assert len(downloads(hub)) > 15


def test_a_line_on_which_nothing_comes_is_given_up_and_what_came_is_kept(hub: Hub, store: ModelStore) -> None:
    def dries_up(done: int, total: int | None, what: str) -> None:
        hub.break_off_after = 0

    hub.break_off_after, hub.break_offs = 100_000, 1000
    with pytest.raises(Unavailable, match="what was received is kept"):
        pull(store, SOURCE, dries_up)
    kept = next(store.root.rglob("tiny.gguf.partial"))
    assert 0 < kept.stat().st_size <= 100_000
    assert hub.content.startswith(kept.read_bytes())


def test_what_is_not_there_is_told(hub: Hub, store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="check owner, repository, path and @revision"):
        pull(store, "hf:owner/new-name/other.gguf")
    with pytest.raises(InvalidInput, match="hf:owner/repository/path"):
        pull(store, "hf:owner/only")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="HF_ENDPOINT names a mirror"):
        pull(store, SOURCE)

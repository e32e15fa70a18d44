"""A received file has its name only when it is complete, on disk and what it should be."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from arkwright.basics.errors import Unavailable, Unprocessable
from arkwright.store.downloads import check_space, partial_of, receive

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_a_file_is_named_once_it_is_complete(tmp_path: Path) -> None:
    target, told = tmp_path / "x.gguf", []

    def progress(done_bytes: int, total_bytes: int | None, what: str) -> None:
        told.append((done_bytes, total_bytes, what))
        assert not target.exists()

    halves = (CONTENT[:3000], CONTENT[3000:])
    assert receive(halves, target, expected_sha256=SHA256, total_bytes=7000, progress=progress) == SHA256
    assert target.read_bytes() == CONTENT
    assert told == [(3000, 7000, "x.gguf"), (7000, 7000, "x.gguf")]
    assert not partial_of(target).exists()


def test_a_wrong_hash_deletes_what_came_and_tells_both(tmp_path: Path) -> None:
    target, expected = tmp_path / "x.gguf", "0" * 64
    with pytest.raises(Unprocessable) as refused:
        receive((CONTENT,), target, expected_sha256=expected)
    assert refused.value.code == "wrong_hash"
    assert SHA256 in refused.value.message
    assert expected in refused.value.message
    assert list(tmp_path.iterdir()) == []


def test_what_broke_off_is_gone_on_with(tmp_path: Path) -> None:
    target = tmp_path / "x.gguf"

    def broken() -> Iterator[bytes]:
        yield CONTENT[:3000]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        receive(broken(), target, expected_sha256=SHA256, total_bytes=7000)
    assert not target.exists()
    assert partial_of(target).stat().st_size == 3000
    receive((CONTENT[3000:],), target, expected_sha256=SHA256, total_bytes=7000, resume=True)
    assert target.read_bytes() == CONTENT


def test_a_file_that_ends_early_is_not_believed_but_kept(tmp_path: Path) -> None:
    target = tmp_path / "x.gguf"
    with pytest.raises(Unavailable, match=r"3,000 of 7,000") as incomplete:
        receive((CONTENT[:3000],), target, total_bytes=7000)
    assert incomplete.value.code == "incomplete"
    assert not target.exists()
    assert partial_of(target).stat().st_size == 3000


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the kernel's full device")
def test_a_full_disk_tells_what_is_needed_and_loses_nothing(tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(CONTENT)
    target = tmp_path / "x.gguf"
    partial_of(target).symlink_to("/dev/full")  # Every write to it fails with ENOSPC, in earnest.
    with pytest.raises(Unavailable, match=r"5 MiB are needed, [0-9,]+ MiB are free") as full:
        receive((CONTENT,), target, total_bytes=5 * 1024 * 1024)
    assert full.value.code == "disk_full"
    assert other.read_bytes() == CONTENT
    assert not target.exists()


def test_too_little_room_is_told_before_the_download(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as full:
        check_space(tmp_path, 1 << 60)
    assert full.value.code == "disk_full"
    check_space(tmp_path, 1)

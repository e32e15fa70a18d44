"""Sealing, key files and passwords."""

import threading
from pathlib import Path

import pytest

from arkwright.basics import secrets
from arkwright.basics.errors import InternalError

KEY = bytes(range(32))


def test_a_sealed_secret_opens_with_its_key_only() -> None:
    sealed = secrets.seal(KEY, "sk-upstream-1")
    assert b"sk-upstream-1" not in sealed
    assert secrets.open_sealed(KEY, sealed) == "sk-upstream-1"
    assert secrets.seal(KEY, "sk-upstream-1") != sealed, "a repeated nonce would reveal equal secrets"
    with pytest.raises(InternalError, match="does not open"):
        secrets.open_sealed(bytes(32), sealed)


@pytest.mark.parametrize("position", [0, 1, 13, -1])
def test_an_altered_byte_is_noticed(position: int) -> None:
    sealed = bytearray(secrets.seal(KEY, "sk-upstream-1"))
    sealed[position] ^= 1
    with pytest.raises(InternalError):
        secrets.open_sealed(KEY, bytes(sealed))


def test_no_secret_stays_no_secret() -> None:
    assert secrets.seal(KEY, "") == b""
    assert secrets.open_sealed(KEY, b"") == ""


def test_a_truncated_value_is_an_error_and_not_an_empty_secret() -> None:
    for length in (1, 5, 13, 20):
        with pytest.raises(InternalError):
            secrets.open_sealed(KEY, secrets.seal(KEY, "sk-upstream-1")[:length])


def test_the_master_key_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "master.key"
    keys: list[bytes] = []
    threads = [threading.Thread(target=lambda: keys.append(secrets.ensure_master_key(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["master.key"]


def test_a_broken_master_key_is_said(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    with pytest.raises(InternalError, match="cannot read"):
        secrets.read_master_key(path)
    path.write_text("abcd")
    with pytest.raises(InternalError, match="32-byte"):
        secrets.read_master_key(path)


def test_the_operator_key_stays_the_same(tmp_path: Path) -> None:
    path = tmp_path / "operator.key"
    key = secrets.ensure_operator_key(path)
    assert key.startswith("adm-")
    assert secrets.ensure_operator_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600


def test_passwords() -> None:
    password = secrets.new_password()
    assert len(password) == 23
    assert secrets.new_password() != password
    hashed = secrets.hash_password(password)
    assert hashed.startswith("$argon2id$")
    assert secrets.password_matches(hashed, password)
    assert not secrets.password_matches(hashed, password + "x")
    assert not secrets.password_matches("no hash", password)

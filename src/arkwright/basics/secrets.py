"""Secrets at rest: upstream keys sealed with the master key, key files that only their owner reads, passwords.

Law: nothing here prints, logs or puts into an error what it protects; a sealed value that does not open is an error,
never an empty secret.
"""

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from arkwright.basics.errors import InternalError
from arkwright.basics.ids import new_admin_key

if TYPE_CHECKING:
    from argon2 import PasswordHasher

KEY_BYTES = 32
_NONCE_BYTES = 12
_FORMAT = b"\x01"  # AES-256-GCM: format byte, nonce, ciphertext and tag.
_PURPOSE = b"arkwright upstream secret"
_LEGIBLE = "23456789abcdefghjkmnpqrstuvwxyz"  # No character that is mistaken for another when typed.


def seal(master_key: bytes, plaintext: str) -> bytes:
    """Encrypt an upstream's secret; an empty secret stays empty, since there is nothing to hide."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # Slow to import: only who seals pays for it.

    if not plaintext:
        return b""
    nonce = os.urandom(_NONCE_BYTES)
    return _FORMAT + nonce + AESGCM(master_key).encrypt(nonce, plaintext.encode(), _PURPOSE)


def open_sealed(master_key: bytes, sealed: bytes) -> str:
    """The inverse of `seal`. Raises InternalError when the master key is another one or the bytes were altered."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if not sealed:
        return ""
    nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        if sealed[:1] != _FORMAT:
            raise ValueError
        return AESGCM(master_key).decrypt(nonce, ciphertext, _PURPOSE).decode()
    except (InvalidTag, ValueError):
        raise InternalError(
            "a stored secret does not open with this platform's master key (secrets/master.key)"
        ) from None


def ensure_master_key(path: Path) -> bytes:
    """Read the 32-byte master key, or make it; two processes that start at once end up with the same one."""
    if not path.exists():
        write_once(path, os.urandom(KEY_BYTES).hex())
    return read_master_key(path)


def read_master_key(path: Path) -> bytes:
    """Raises InternalError when the file is not there or is not a key."""
    try:
        key = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as error:
        raise InternalError(f"cannot read the master key from {path}: {type(error).__name__}") from None
    if len(key) != KEY_BYTES:
        raise InternalError(f"{path} holds no 32-byte key")
    return key


def ensure_operator_key(path: Path) -> str:
    """The `adm-…` key with which commands on this machine speak to the control process; made when missing."""
    if not path.exists():
        write_once(path, new_admin_key())
    return path.read_text().strip()


def hash_password(password: str) -> str:
    """Argon2id with the library's current parameters (RFC 9106, low memory)."""
    return _hasher().hash(password)


def password_matches(password_hash: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def new_password() -> str:
    """Four groups of five: 99 bits, easy to type."""
    # Rejection keeps every character equally likely.
    letters: list[str] = []
    while len(letters) < 20:
        letters += [_LEGIBLE[byte & 31] for byte in os.urandom(32) if byte & 31 < len(_LEGIBLE)]
    return "-".join("".join(letters[start : start + 5]) for start in range(0, 20, 5))


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher

    return PasswordHasher()


def write_once(path: Path, text: str) -> None:
    """Create the file whole, readable by its owner only; when another process was first, its file stands."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()

"""The platform's Ed25519 key: made once, kept beside the master key, its public half shown to everybody.

Law: the private half never leaves its file but to sign; a key that cannot be read is an error, never a new key.
"""

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING

from arkwright.basics.errors import InternalError, InvalidInput
from arkwright.basics.secrets import write_once

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PREFIX = "ed25519:"
_BYTES = 32


class Signer:
    """Signs with the key in a file. Raises InternalError for a file that holds none."""

    def __init__(self, path: Path) -> None:
        try:
            secret = bytes.fromhex(path.read_text().strip())
        except (OSError, ValueError) as error:
            raise InternalError(f"cannot read the signing key from {path}: {type(error).__name__}") from None
        if len(secret) != _BYTES:
            raise InternalError(f"{path} holds no signing key")
        self._key = _private(secret)

    @property
    def public(self) -> str:
        """As people copy it: `ed25519:` and the key's 32 bytes in base64."""
        return _PREFIX + base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def ensure_signing_key(path: Path) -> None:
    """Make the key when there is none; two processes that start at once end up with the same one."""
    if not path.exists():
        write_once(path, os.urandom(_BYTES).hex())


class Verifier:
    """Checks signatures by a public key as `Signer.public` writes it. Raises InvalidInput for another text."""

    def __init__(self, public: str) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        text = public.strip()
        try:
            if not text.startswith(_PREFIX):
                raise ValueError
            raw = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
            self._key = Ed25519PublicKey.from_public_bytes(raw)
        except ValueError:
            message = f"that is no public key: `arkwright audit key` shows one, which begins with {_PREFIX}"
            raise InvalidInput(message, code="wrong_usage") from None
        self.public = text

    def holds(self, signature: bytes, message: bytes) -> bool:
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def _private(secret: bytes) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # Slow to import.

    return Ed25519PrivateKey.from_private_bytes(secret)

"""The platform's signature: made once, known by its public half, never mistaken."""

from pathlib import Path

import pytest

from arkwright.basics.errors import InternalError, InvalidInput
from arkwright.basics.signing import Signer, Verifier, ensure_signing_key


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    ensure_signing_key(path)
    first = path.read_text()
    ensure_signing_key(path)
    assert path.read_text() == first
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_signature_holds_for_its_message_and_key_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        ensure_signing_key(tmp_path / name)
    signer, other = Signer(tmp_path / "a"), Signer(tmp_path / "b")
    signature = signer.sign(b"message")
    verifier = Verifier(f" {signer.public}\n")
    assert verifier.holds(signature, b"message")
    assert not verifier.holds(signature, b"another")
    assert not verifier.holds(b"", b"message")
    assert not Verifier(other.public).holds(signature, b"message")


def test_the_vector_of_rfc_8032(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert Signer(path).sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")


@pytest.mark.parametrize("text", ["", "ed25519:", "ed25519:AAAA", "ed25519:%%%%", "adm-1", "ssh-ed25519 AAAA"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        Verifier(text)
    assert refusal.value.code == "wrong_usage"


@pytest.mark.parametrize("text", ["", "zz", "00" * 31])
def test_a_file_without_a_key_is_an_error_and_never_a_new_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(InternalError):
        Signer(path)
    ensure_signing_key(path)
    assert path.read_text() == text

"""Keys come out of a snapshot as they went in, whatever their number; and nothing else comes out."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.domain import snapshot as snapshots
from arkwright.domain.key_table import KeyTable, Packed, pack
from arkwright.domain.snapshot import Snapshot
from arkwright.domain.tenancy import Key

digests = st.binary(min_size=32, max_size=32)
keys = st.builds(
    Key,
    id=st.text(max_size=12),
    organization_id=st.text(max_size=12),
    project_id=st.text(max_size=12),
    models=st.frozensets(st.text(max_size=4), max_size=3),
    expires_at_us=st.none() | st.integers(0, 2**60),
    disabled=st.booleans(),
)


def of(known: dict[bytes, Key]) -> Snapshot:
    return Snapshot(1, 0, {}, known, {}, ())


@given(st.dictionaries(digests, keys, max_size=40), digests)
def test_what_went_in_comes_out(known: dict[bytes, Key], other: bytes) -> None:
    table = snapshots.decode(snapshots.encode(of(known))).keys
    assert dict(table) == known
    assert table == known
    assert table.get(other) == known.get(other)
    assert all(table[digest] == key and type(table[digest]) is Key for digest, key in known.items())


@given(st.dictionaries(digests, keys, max_size=10))
def test_neighbours_of_a_digest_are_unknown(known: dict[bytes, Key]) -> None:
    table = KeyTable(pack(known))
    for digest in known:
        for step in (1, 2**256 - 1):
            near = ((int.from_bytes(digest, "big") + step) % 2**256).to_bytes(32, "big")
            assert (near in table) == (near in known)
    assert table.get(b"") is None
    assert table.get(b"\xff" * 33) is None


@given(st.dictionaries(digests, keys, max_size=10))
def test_a_snapshot_that_was_read_can_be_written_again(known: dict[bytes, Key]) -> None:
    raw = snapshots.encode(of(known))
    assert snapshots.encode(snapshots.decode(raw)) == raw


@given(st.dictionaries(digests, keys, min_size=1, max_size=10))
def test_a_snapshot_from_before_keys_were_packed_is_read(known: dict[bytes, Key]) -> None:
    fields = msgspec.to_builtins(of(known), builtin_types=(bytes,), enc_hook=bytes)
    fields["keys"] = known
    del fields["packed_keys"]
    assert snapshots.decode(msgspec.msgpack.encode(fields)).keys == known


@given(st.dictionaries(digests, keys, min_size=1, max_size=10), st.data())
def test_a_torn_table_is_no_snapshot(known: dict[bytes, Key], data: st.DataObject) -> None:
    whole = pack(known)
    part = data.draw(st.sampled_from(["digests", "ends", "records"]))
    cut = bytes(getattr(whole, part))[:-1]
    torn = msgspec.structs.replace(whole, **{part: memoryview(cut)})
    raw = msgspec.msgpack.encode(msgspec.structs.replace(of({}), packed_keys=torn))
    with pytest.raises(msgspec.ValidationError, match="torn"):
        snapshots.decode(raw)


def test_an_empty_table() -> None:
    assert len(KeyTable(Packed())) == 0


def test_only_a_sha256_is_a_key() -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        pack({b"short": Key("key", "org", "prj")})

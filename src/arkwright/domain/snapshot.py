"""Everything a gateway worker needs to serve without a database, as one immutable value."""

from collections.abc import Mapping

import msgspec

from arkwright.domain.catalog import Model, Target
from arkwright.domain.endpoints import Endpoint
from arkwright.domain.key_table import KeyTable, Packed, pack
from arkwright.domain.limits import Limit
from arkwright.domain.lots import Lot
from arkwright.domain.pricing import PriceVersion
from arkwright.domain.reservations import Reservation
from arkwright.domain.tenancy import Key, Organization


class Snapshot(msgspec.Struct, frozen=True):
    """`version` rises with every change; keys are found by the SHA-256 of their secret.

    Secrets of upstreams stay sealed in here; a worker opens them with the master key it was given.
    """

    version: int
    built_at_us: int
    organizations: dict[str, Organization]
    keys: Mapping[bytes, Key]
    models: dict[str, Model]
    prices: tuple[PriceVersion, ...]  # Every version valid now or later, so that a scheduled price starts on time.
    limits: tuple[Limit, ...] = ()
    hosts: int = 1  # How many share every limit.
    lots: tuple[Lot, ...] = ()  # Every lot usable now or later that is not used up.
    reservations: tuple[Reservation, ...] = ()  # Of now and to come.
    endpoints: dict[str, Endpoint] = {}  # By id.
    packed_keys: Packed = Packed()  # How `keys` are written; a snapshot in memory has them in `keys` alone.
    draining: tuple[Target, ...] = ()  # They get no new request, and finish what they have; no model leads to them.


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Snapshot)


def encode(snapshot: Snapshot) -> bytes:
    return _encoder.encode(msgspec.structs.replace(snapshot, keys={}, packed_keys=pack(snapshot.keys)))


def decode(raw: bytes) -> Snapshot:
    """Raises msgspec.ValidationError or msgspec.DecodeError on anything that is not a snapshot.

    `raw` is kept as long as the snapshot: its keys lie in there.
    """
    snapshot = _decoder.decode(raw)
    if snapshot.keys:  # Written before keys were packed.
        return snapshot
    try:
        keys = KeyTable(snapshot.packed_keys)
    except ValueError as error:
        raise msgspec.ValidationError(str(error)) from error
    return msgspec.structs.replace(snapshot, keys=keys, packed_keys=Packed())

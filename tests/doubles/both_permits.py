"""Permits of both kinds, in Python and native (where that is built), for tests that hold both to the same."""

import pytest

from arkwright.basics import native
from arkwright.host.leases import Slot
from arkwright.host.native_permits import QuickPermits
from arkwright.host.permits import Permits

KINDS = ("python", "native")
NATIVE_BUILT = native.modules().get("host._permits", False)


def permits_of(kind: str, slot: Slot) -> Permits:
    """Skips the test where the native ones are not built."""
    if kind == "python":
        return Permits(slot)
    if not NATIVE_BUILT:
        pytest.skip("the native permits are not built here")
    from arkwright.host._permits import NativeGroup, NativePermits

    return QuickPermits(slot, NativePermits(slot), NativeGroup)

"""How much of a prepaid balance a host may hold, and the arithmetic of its words.

    PostgreSQL, per (host, organization):  granted   all that was ever leased to the host in this epoch
                                           posted    all charges of this host that the ledger has
    host memory, per organization:         ceiling = granted − posted by writers that are closed
    host memory, per (writer, organization):  held    its open holds
                                              spent   all it ever charged

Law: Σ over live writers (held + spent) ≤ ceiling, and each word has exactly one writer: the control process writes
ceilings, a gateway worker writes its own held and spent. So no update spans two words, and a kill between two updates
can only leave too much reserved, never too little; closing the dead writer gives it back.
"""


def available(ceiling_pico: int, reserved_pico: int) -> int:
    """What a host may still promise: its ceiling less everything its writers hold or have spent."""
    return max(0, ceiling_pico - reserved_pico)


def grant(unleased_pico: int, hosts: int) -> int:
    """How much of the balance that nobody leases goes to the asking host: all when it is alone, else a share.

    A share leaves something for a second host's first request; asking again soon takes a share of the rest.
    """
    if unleased_pico <= 0:
        return 0
    return unleased_pico if hosts <= 1 else max(1, unleased_pico // (2 * hosts))

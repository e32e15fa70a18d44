"""How often a password may be tried: a bucket for each login and one for everybody, bounded in memory.

Counts every attempt before the password is looked at, so that attempts at the same moment count too. Reads no clock.
"""

import hashlib
import math
from collections import OrderedDict

import msgspec


class Allowance(msgspec.Struct, frozen=True):
    """`burst` attempts at once, then another each `every_s` seconds."""

    burst: int
    every_s: float


PER_LOGIN = Allowance(burst=8, every_s=60.0)
OVERALL = Allowance(burst=60, every_s=2.0)
LOGINS_MAX = 4_096  # At the overall pace, pushing one login's count out takes two hours: longer than a bucket fills.


class _Bucket(msgspec.Struct):
    level: float
    at_s: float


class Throttle:
    def __init__(self, per_login: Allowance = PER_LOGIN, overall: Allowance = OVERALL) -> None:
        self._per_login = per_login
        self._overall_allowance = overall
        self._overall = _Bucket(overall.burst, 0.0)
        self._logins: OrderedDict[bytes, _Bucket] = OrderedDict()

    def admit(self, login: str, now_s: float) -> int:
        """Zero: go on, and it is counted. Otherwise how many seconds to wait; a refused attempt does not count."""
        name = _name(login)
        bucket = self._logins.pop(name, None) or _Bucket(self._per_login.burst, now_s)
        self._logins[name] = bucket
        if len(self._logins) > LOGINS_MAX:
            self._logins.popitem(last=False)
        wait_s = max(_wait(bucket, self._per_login, now_s), _wait(self._overall, self._overall_allowance, now_s))
        if wait_s == 0:
            bucket.level -= 1
            self._overall.level -= 1
        return wait_s

    def forgive(self, login: str) -> None:
        """The right password was given: what was mistyped before no longer counts."""
        self._logins.pop(_name(login), None)


def _wait(bucket: _Bucket, allowance: Allowance, now_s: float) -> int:
    """Fill the bucket up to now; whole seconds until it holds one attempt."""
    bucket.level = min(allowance.burst, bucket.level + (now_s - bucket.at_s) / allowance.every_s)
    bucket.at_s = now_s
    return 0 if bucket.level >= 1 else math.ceil((1 - bucket.level) * allowance.every_s)


def _name(login: str) -> bytes:
    """As long for a login of a megabyte as for one of five letters."""
    return hashlib.sha256(login.encode(errors="replace")).digest()

"""One try at one target, as it goes into the record of its request."""

from typing import NamedTuple

from arkwright.domain.catalog import Target
from arkwright.domain.journal import Attempt


class Tried(NamedTuple):
    """A try that is over, and where it was made."""

    target: Target
    record: Attempt

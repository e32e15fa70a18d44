"""What every page is given: the platform, and who is signed in."""

from arkwright.console.sessions import Sessions
from arkwright.control.platform import Platform


class Console:
    """One per control process."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.sessions = Sessions(platform)

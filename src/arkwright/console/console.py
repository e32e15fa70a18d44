"""What the console has in hand for every page: the platform, who is signed in, and the screens there are."""

from arkwright.console.screen import Screen
from arkwright.console.sessions import Sessions
from arkwright.control.oidc import Issuer
from arkwright.control.platform import Platform


class Console:
    """One per control process."""

    def __init__(self, platform: Platform, screens: tuple[Screen, ...] = ()) -> None:
        self.platform = platform
        self.screens = screens
        self.sessions = Sessions(platform)
        self.issuer = Issuer(platform.settings)

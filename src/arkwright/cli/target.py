"""Which platform a command speaks to: the one in a data directory, or the one behind a URL."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from arkwright.basics.errors import InvalidInput
from arkwright.cli.client import Client


@dataclass(frozen=True)
class Target:
    """Options of every command that is a client of the admin API."""

    data_dir: Annotated[
        Path | None, Parameter(help="Directory of the platform; default: ARKWRIGHT_DATA_DIR, or yours.")
    ] = None
    url: Annotated[str | None, Parameter(help="Base URL of a platform elsewhere; default: ARKWRIGHT_URL.")] = None
    admin_key: Annotated[str | None, Parameter(help="Key for --url; default: ARKWRIGHT_ADMIN_KEY.")] = None

    def client(self) -> Client:
        if self.data_dir is not None and self.url is not None:
            raise InvalidInput(
                "--url and --data-dir name two platforms: drop --data-dir for the one elsewhere, or --url for this one",
                code="wrong_usage",
            )
        return Client.connect(self.data_dir, self.url, self.admin_key)


HERE = Target()
TargetOptions = Annotated[Target, Parameter(name="*")]

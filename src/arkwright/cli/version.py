"""`arkwright version`."""

import json
import platform

from arkwright import __version__
from arkwright.cli.options import DataDirOption, JsonOption


def version(*, json_output: JsonOption = False, data_dir: DataDirOption = None) -> None:
    """Show the version."""
    if json_output:
        print(json.dumps({"version": __version__, "python": platform.python_version()}))
    else:
        print(f"arkwright {__version__} (Python {platform.python_version()})")

"""The short form of `make outage-test`: control and the database are away for a few seconds under load."""

import pytest

from tests.contract.platforms import running_platform
from tests.exactness.outage import HOWS, How, run

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("how", HOWS)
async def test_the_data_plane_outlives_control_and_the_database(how: How) -> None:
    with running_platform("--workers", "2", "--model", "none") as platform:
        report = await run(platform, 8.0, how)
    assert report.wrong == []
    assert min(report.answers.values()) > 0

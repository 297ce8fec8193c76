# SPDX-License-Identifier: Apache-2.0
import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from simulator import Simulator  # noqa: E402  (the path above comes first)


@pytest.fixture
def make_sim(tmp_path):
    """Starts simulators; each must end cleanly, which a sanitizer's report would prevent."""
    started = []

    def make(*olts):
        folder = tmp_path / f"sim{len(started)}"
        folder.mkdir()
        started.append(Simulator(folder, *olts))
        return started[-1].start()

    yield make
    for sim in started:
        code = sim.stop()
        assert code == 0, (code, (sim.folder / "sim.log").read_text()[-4000:])


@pytest.fixture
def sim(make_sim):
    return make_sim()

"""A real feeder of 5,275 homes out of its OpenDSS script, against OpenDSS's own voltages."""

from pathlib import Path

import numpy as np
import pytest

from abm.grid.importing import import_feeder
from abm.scenario.phase_feeder import read_three_phase

HPK11 = Path(__file__).parents[3] / "shared" / "data" / "ausnet_hpk11" / "hpk11.dss.gz"


def test_hpk11_is_imported_whole(tmp_path):
    pytest.importorskip("opendssdirect", reason="opendssdirect.py is not there: the extra opendss")
    if not HPK11.is_file():
        pytest.skip("the script of HPK11 is not there: ../shared/data")
    made = import_feeder(str(HPK11))
    assert made.summary[0] == (
        "11189 buses, 11143 lines (0 open), 45 transformers, 0 capacitors, 5275 homes "
        "(1763 on a, 1756 on b, 1755 on c, 1 on abc), 5304 kW, 44 zones"
    )
    assert float(made.summary[2].split()[-2]) < 1e-8
    for name, content in made.files.items():
        if isinstance(content, str):
            (tmp_path / name).write_text(content)
        else:
            content.to_csv(tmp_path / name, index=False)
    table = read_three_phase(tmp_path, ("residential",))
    # Every transformer of 22 kV is a zone, in the order of the script, and no home is left out.
    first = np.array([name.split("_")[2] for name in table.labels.bus.tolist()])
    assert [set(first[table.zone == zone]) for zone in range(1, 45)] == [
        {f"lv{number}"} for number in range(44)
    ]

"""datapackage.json: every table of a folder with its columns, units and checksums."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from helpers import by_energy, run, scenario, small_paper

from abm import Results, Scenario
from abm.results.columns import COLUMNS, column_of, page
from abm.results.datapackage import DATAPACKAGE, OWN, fields_of
from abm.results.indicators import INDICATORS
from abm.results.ownership import check_written
from abm.study.breakeven import break_even
from abm.study.compare import compare
from abm.study.fingerprint import question
from abm.study.montecarlo import montecarlo
from abm.study.outcomes import BreakEven, Comparison, MonteCarlo, Sweep

COARSE = {"clock": {"step_s": 900}}
PAGE = Path(__file__).parents[2] / "docs" / "tables.md"
TWO = {"groups": {"a": {"share": 0.5}, "b": {"share": 0.5}}}


def described(path):
    """The packages in a folder by where they are; all columns known, all files as they say."""
    found = {}
    for file in path.rglob(DATAPACKAGE):
        package = json.loads(file.read_text(encoding="utf-8"))
        found[file.parent.relative_to(path).as_posix()] = package
        for resource in package["resources"]:
            content = (file.parent / resource["path"]).read_bytes()
            assert resource.get("bytes", len(content)) == len(content)
            assert ("bytes" in resource) == resource["path"].endswith(".csv")
            assert resource["hash"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
            fields = resource["schema"]["fields"]
            unknown = [one["name"] for one in fields if one["description"] in ("", OWN)]
            assert unknown == [], resource["path"]
        names = [resource["name"] for resource in package["resources"]]
        assert len({*names}) == len(names)
    return found


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"feeder": {"copies": 2}, "ageing": {"model": "schmalstieg_2014"}},
        {"horizon": {"days": 2}, "owners": TWO, "tariff": {"demand_charge": {"usd_per_kw": 1.0}}},
        {"pv": {"kwp_per_zone": 20.0}, "storage": {"kwh_per_zone": 10.0}},
    ],
)
def test_the_tables_of_a_run_are_described(fields, tmp_path):
    results = run(small_paper(strategy="evms", **COARSE, **fields)).results
    results.save(tmp_path / "run", figures=False)
    package = described(tmp_path / "run")["."]
    paths = {resource["path"] for resource in package["resources"]}
    assert paths == {f"{name}.parquet" for name in results.tables}
    assert check_written(tmp_path / "run").differences == {}
    assert package["name"] == "evenfall-run-scenario-evms-seed1"


def test_three_phases_transformers_and_needs_of_energy_are_described(tmp_path):
    street = Scenario.load("hosting_lv").override(
        {"clock.step_s": 300, "grid.flow_interval_min": 60}
    )
    run(street).results.save(tmp_path / "street", figures=False)
    hot = Scenario.load("cigre_mv").override(
        {"clock.step_s": 3600, "transformers.cooling": "onan_distribution", "ev.volt_var": {}}
    )
    run(hot).results.save(tmp_path / "hot", figures=False)
    run(scenario(by_energy(), requirement={"kind": "energy_balanced"}, **COARSE)).results.save(
        tmp_path / "e", figures=False
    )
    assert set(described(tmp_path)) == {"street", "hot", "e"}


def test_types_units_and_meanings(tmp_path):
    run(small_paper(name="mine", **COARSE)).results.save(tmp_path / "run", figures=False)
    package = described(tmp_path / "run")["."]
    tables = {resource["name"]: resource for resource in package["resources"]}
    assert tables["hourly"]["profile"] == "data-resource"
    fields = {one["name"]: one for one in tables["hourly"]["schema"]["fields"]}
    assert fields["total_mw"] == {
        "name": "total_mw",
        "type": "number",
        "description": "system demand without losses, mean",
        "unit": "MW",
    }
    types = {name: fields[name]["type"] for name in ("hour", "min_vm_bus", "converged")}
    assert types == {"hour": "integer", "min_vm_bus": "integer", "converged": "boolean"}
    assert "unit" not in fields["hour_index"]
    kinds = {one["name"]: one["type"] for one in tables["violations"]["schema"]["fields"]}
    assert kinds["element"] == "string"
    assert package["title"] == "Evenfall, run: mine, evms, seed 1"


def test_the_tables_of_studies_are_described(tmp_path):
    small = small_paper(fleet={"evs_per_zone": 1}, **COARSE)
    runs = compare(small, ["uncoordinated", "evms"])
    Comparison(small, runs, None, {}).save(tmp_path / "c", figures=False)
    ensemble = montecarlo(small, 2, ["uncoordinated", "evms"])
    asked = question("montecarlo", small, ["uncoordinated", "evms"], 2)
    MonteCarlo(small, ensemble, asked, 1.0).save(tmp_path / "m", figures=False)
    Sweep(small, ensemble, {**asked, "study": "sweep"}, 1.0).save(tmp_path / "s", figures=False)
    evms = BreakEven(small, ["evms"], break_even(small, ["evms"]))
    evms.save(tmp_path / "b", figures=False)
    packages = described(tmp_path)
    assert set(packages) == {"b", "c", "c/evms", "c/uncoordinated", "m", "s"}
    files = {one["path"]: one for one in packages["m"]["resources"]}
    assert set(files) == {
        "replications.parquet", "bands.parquet", "summary.csv", "differences.csv",
    }  # fmt: skip
    assert files["summary.csv"]["profile"] == "tabular-data-resource"
    assert [one["path"] for one in packages["c"]["resources"]] == ["comparison.csv"]
    # It is copied with a folder that is only read.
    with pytest.warns(UserWarning, match="holds nothing else"):
        Results.load(tmp_path / "b").save(tmp_path / "copy")
    before = (tmp_path / "b" / DATAPACKAGE).read_bytes()
    assert (tmp_path / "copy" / DATAPACKAGE).read_bytes() == before


def test_a_column_is_found_by_table_kpi_and_field():
    assert column_of("zone_minute", "minute").meaning.startswith("begin of the time step")
    assert column_of("bus_hour", "minute").meaning.startswith("minute within the hour")
    assert column_of("replications", "net_cost_usd").unit == INDICATORS["net_cost_usd"].unit
    assert "eta_c" in column_of("sweep", "ev.efficiency").meaning
    assert "10 to 20 %" in column_of("ev", "cycles_10_20").meaning
    assert column_of("replications", "my_own") is None
    assert all(row.unit and row.meaning for row in COLUMNS.values())


def test_types_of_columns_of_text_and_of_lists():
    frame = pd.DataFrame(
        {
            "text": pd.Series(["a", None], dtype="object"),
            "maybe": pd.Series([True, None], dtype="object"),
            "mixed": pd.Series([1.5, "N3"], dtype="object"),
            "none": pd.Series([None, None], dtype="object"),
            "known": pd.array([True, None], dtype="boolean"),
        }
    )
    assert dict(fields_of(frame)) == {
        "text": "string", "maybe": "boolean", "mixed": "any", "none": "string", "known": "boolean",
    }  # fmt: skip
    table = pa.table({"a": [1], "b": [[1.0]], "c": ["x"], "d": [True], "e": [0.5]})
    assert [kind for _, kind in fields_of(table)] == [
        "integer", "any", "string", "boolean", "number",
    ]  # fmt: skip


def test_the_page_is_up_to_date():
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text, "run python -m abm.results.columns"

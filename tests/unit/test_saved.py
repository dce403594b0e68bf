"""A saved folder gives its results back, or says what is missing; nothing in it is run."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import ev, run, scenario, small_paper

from abm import Results, Scenario
from abm.errors import InputError
from abm.results import stored
from abm.results.claim import new_folder
from abm.results.ownership import check_written
from abm.results.saved import Folder, Saved
from abm.results.seals import sealed
from abm.results.stored import RECORD, inputs_digest, read_record, record_file, record_size
from abm.snapshot import Snapshot, SnapshotError
from abm.study.bound import Bound, optimum

COARSE = {"clock": {"step_s": 900}}


def files(folder):
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in sorted(found.items())}


@pytest.fixture(scope="module")
def results():
    return run(small_paper(name="mine", strategy="evms")).results


@pytest.fixture(scope="module")
def folder(results, tmp_path_factory):
    return results.save(tmp_path_factory.mktemp("saved") / "mine")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"feeder": {"copies": 2}, "ageing": {"model": "schmalstieg_2014"}},
        {"horizon": {"days": 2}, "owners": {"groups": {"a": {"share": 0.5}, "b": {"share": 0.5}}}},
        {"pv": {"kwp_per_zone": 20.0}, "storage": {"kwh_per_zone": 10.0}},
    ],
)
def test_a_run_comes_back_whole(fields, tmp_path):
    before = run(small_paper(strategy="evms", **COARSE, **fields)).results
    before.save(tmp_path / "one", figures=False)
    after = Results.load(tmp_path / "one")
    assert type(after) is Results
    assert after.missing == ()
    assert after.scenario == before.scenario
    assert after.kpis == json.loads((tmp_path / "one" / "kpis.json").read_text(encoding="utf-8"))
    assert list(after.tables) == list(before.tables)
    for name, table in before.tables.items():
        pd.testing.assert_frame_equal(after.tables[name], table, check_exact=True)
    # Figures and the tables that no file has come of the record.
    assert after.kinds == before.kinds
    assert record_file(after.record) == record_file(before.record)
    pd.testing.assert_frame_equal(after.zone_hour, before.zone_hour, check_exact=True)
    after.save(tmp_path / "two", figures=False)
    assert files(tmp_path / "two") == files(tmp_path / "one")
    assert check_written(tmp_path / "one").differences == {}


def test_figures_are_drawn_again(results, folder):
    after = Results.load(folder)
    for kind in results.kinds:
        assert after.plot(kind)._repr_png_() == (folder / "figures" / f"{kind}.png").read_bytes()
    assert "Results: mine, evms, seed 1" in after._repr_html_()


def test_a_bound_comes_back_but_for_its_programme(tmp_path):
    before = optimum(small_paper(**COARSE))
    before.save(tmp_path / "bound")
    after = Results.load(tmp_path / "bound")
    assert isinstance(after, Bound)
    assert after.summary() == before.summary()
    assert (after.kpis, after.kinds) == (before.kpis, before.kinds)
    pd.testing.assert_frame_equal(after.unreachable, before.unreachable)
    assert "Bound: scenario, bound, seed 1" in after._repr_html_()
    with pytest.raises(InputError, match="not in its folder"):
        after.cost_at(3.2)


def test_objects_of_python_are_named_as_missing(tmp_path):
    def idle(fleet, broadcast, minute):
        return np.zeros(fleet.n, dtype=np.int64)

    before = run(small_paper(name="mine", **COARSE).with_objects(rule=idle)).results
    before.save(tmp_path / "own", figures=False)
    with pytest.warns(UserWarning, match="no file can hold: rule"):
        after = Results.load(tmp_path / "own")
    assert after.kpis == before.kpis
    assert "idle" in after.label
    assert "no file can hold" in after._repr_html_()
    assert after.plot().axes[0].get_title() == before.plot().axes[0].get_title()


# --- what cannot be had ------------------------------------------------------------------------


def only_tables(path, why):
    with pytest.warns(UserWarning, match=why):
        found = Results.load(path)
    assert isinstance(found, Saved)
    assert why in found.missing[0]
    return found


def as_before(found, before):
    assert found.kpis == before.kpis
    assert set(found.tables) == set(before.tables)
    for name, table in before.tables.items():
        pd.testing.assert_frame_equal(found.tables[name], table, check_exact=True)


def test_without_its_input_files_there_are_tables_kpis_and_pictures(tmp_path):
    (tmp_path / "here").mkdir()
    before = run(scenario(ev(), folder=tmp_path / "here", **COARSE)).results
    before.save(tmp_path / "here" / "out")
    shutil.move(tmp_path / "here" / "out", tmp_path / "there")
    assert type(Results.load(tmp_path / "there")) is Results
    sessions = tmp_path / "here" / "sessions.csv"
    sessions.write_text(sessions.read_text().replace("1200", "1201"))
    only_tables(tmp_path / "there", "a file that the scenario names has changed since")
    sessions.unlink()
    found = only_tables(tmp_path / "there", "the scenario cannot be read, for fleet.sessions")
    as_before(found, before)
    assert found.kinds == ("demand", "voltage", "zones")
    assert found.plot().axes[0].images[0].get_array().shape[:2] == (520, 700)
    page = found._repr_html_()
    assert "Saved: run, scenario, evms" in page
    assert str(tmp_path) not in page
    assert page.count("<img ") == 1
    assert "hourly" in repr(found)
    with pytest.raises(InputError, match="not found"):
        assert found.scenario
    found.save(tmp_path / "copy")
    assert files(tmp_path / "copy") == files(tmp_path / "there")


def test_a_large_record_is_left_out(results, tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "LARGEST", record_size(results.record) - 1)
    results.save(tmp_path / "large", figures=False)
    assert not (tmp_path / "large" / RECORD).exists()
    found = only_tables(tmp_path / "large", "too large or written before")
    as_before(found, results)
    assert found.kinds == ()
    assert found.scenario == results.scenario


def with_record(folder, path, content):
    """The folder with another record."""
    with new_folder(path) as output:
        for name, before in Saved(Folder(folder)).contents():
            output.write_all([(name, content if name == RECORD else before)])
    return path


def test_a_record_of_another_version_is_no_record(results, folder, tmp_path):
    found = Snapshot.from_bytes(record_file(results.record))
    del found.skeleton["is"]["is"]["unsent"]
    path = with_record(folder, tmp_path / "a", found.to_bytes())
    as_before(only_tables(path, "another version of Evenfall"), results)
    path = with_record(folder, tmp_path / "b", b"PAR1 is no more than its name PAR1")
    as_before(only_tables(path, "cannot be read"), results)
    found.skeleton["record"] = 99
    with pytest.raises(SnapshotError, match="another version"):
        read_record(found.to_bytes(), results.scenario)
    found.skeleton |= {"record": 1, "is": {"of": "OSError", "is": {}}}
    with pytest.raises(SnapshotError, match="OSError"):
        read_record(found.to_bytes(), results.scenario)


def test_no_code_is_run(tmp_path, monkeypatch):
    module = tmp_path / "my_rules.py"
    module.write_text(
        "import pathlib\nimport numpy as np\n"
        f"pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
        "class Idle:\n    def decide(self, fleet, broadcast, minute):\n"
        "        return np.zeros(fleet.n, dtype=np.int64)\n"
    )
    monkeypatch.chdir(tmp_path)
    own = {"rule": "my_rules:Idle", "admission": "all_at_once"}
    before = run(Scenario.load({**small_paper(**COARSE).model_dump(), "strategy": own}, trust=True))
    before.results.save("out", figures=False)
    (tmp_path / "ran").unlink()
    monkeypatch.delitem(__import__("sys").modules, "my_rules", raising=False)
    found = Results.load("out")
    assert found.kpis == before.results.kpis
    assert found.kinds
    assert not (tmp_path / "ran").exists()


# --- folders that are refused --------------------------------------------------------------------


def refused(path, said):
    with pytest.raises(InputError) as caught:
        Results.load(path)
    assert said in str(caught.value)
    assert len(caught.value.problems) == 1


def copy_of(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def test_what_is_no_folder_of_ours_is_refused(tmp_path):
    refused(tmp_path / "nowhere", "this is no folder")
    refused(tmp_path, "no manifest.json of ours")
    (tmp_path / "manifest.json").write_text("[1")
    refused(tmp_path, "no manifest.json of ours")


def test_a_damaged_folder_is_refused(folder, tmp_path):
    copy = copy_of(folder, tmp_path)
    text = (copy / "kpis.json").read_text()
    (copy / "kpis.json").write_text(text.replace("1", "2", 1))
    refused(copy, "kpis.json: the file that was written; it has changed since")
    (copy / "kpis.json").unlink()
    refused(copy, "it is missing")
    (copy / "kpis.json").write_text(text)
    (copy / "hourly.parquet").write_bytes(b"PAR1")
    found = Results.load(copy)
    with pytest.raises(InputError, match=r"hourly.parquet: the file that was written"):
        assert len(found.hourly)
    assert len(found.zones) == 15
    (copy / "manifest.json").write_text((copy / "manifest.json").read_text().replace("evms", "x"))
    refused(copy, "its manifest.json has changed since")


def test_a_folder_of_a_newer_version_is_refused(folder, tmp_path):
    copy = copy_of(folder, tmp_path)
    said = json.loads((copy / "manifest.json").read_text())
    said["format_version"] = 99
    (copy / "manifest.json").write_text(json.dumps(sealed(said)))
    refused(copy, "reads format 2, and the folder has 99")


def test_the_digest_of_inputs_is_of_what_they_say_and_not_of_where_they_lie(tmp_path):
    first = scenario(ev(), folder=tmp_path).inputs
    (tmp_path / "other").mkdir()
    assert inputs_digest(scenario(ev(), folder=tmp_path / "other").inputs) == inputs_digest(first)
    assert inputs_digest(scenario(ev(soc=0.31), folder=tmp_path).inputs) != inputs_digest(first)
    table = replace(first.feeder, customer_class=first.feeder.customer_class[::-1])
    changed = replace(first, feeder=table)
    assert inputs_digest(changed) != inputs_digest(first)

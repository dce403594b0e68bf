"""Studies that were interrupted, go on, grow, or are refused."""

import shutil
import sys
import time
from pathlib import Path

import pytest
from study_helpers import call, files, same_files, start

from abm.cli import main
from abm.results.claim import claim
from abm.results.ownership import read_study
from abm.study import montecarlo, replications
from abm.study.folder import StudyFolder


def parts(folder):
    return sorted(path.name for path in (folder / "parts").glob("[!.]*.parquet"))


def test_killed_parent_loses_only_what_was_in_flight(study, alone, tmp_path):
    out = tmp_path / "study"
    process = start(*study, "--workers", 2, "--out", out, cwd=tmp_path)
    try:
        while not parts(out) and process.poll() is None:
            time.sleep(0.005)
    finally:
        process.kill()
        _, err = process.communicate()
    kept = parts(out)
    assert kept, err
    before = {name: (out / "parts" / name).stat().st_mtime_ns for name in kept}
    if len(kept) == len(parts(alone)):
        pytest.skip("it was finished before it could be killed")
    assert not (out / "manifest.json").exists()
    said = call(*study, "--out", out, "--workers", 1, code=2)
    assert "--resume" in said.err
    assert "--force" in said.err
    call(*study, "--out", out, "--workers", 1, "--resume")
    same_files(out, alone)
    for name, written in before.items():
        assert (out / "parts" / name).stat().st_mtime_ns == written


@pytest.mark.parametrize("left", [0, 1, 4])
def test_resume_from_any_state_gives_the_same_bytes(study, alone, tmp_path, left):
    """As if killed with so many parts there, one of them half written, and some tables too."""
    out = tmp_path / "study"
    shutil.copytree(alone, out)
    for name in ("manifest.json", "bands.parquet"):
        (out / name).unlink()
    for name in parts(out)[left:]:
        (out / "parts" / name).unlink()
    (out / "parts" / ".4242.tmp.0000000-000000.parquet").write_bytes(b"PAR1 half")
    (out / "parts" / "9999999-000000.parquet").write_bytes(b"not ours")
    call(*study, "--out", out, "--workers", 1, "--resume")
    same_files(out, alone)
    assert parts(out) == parts(alone)


def test_resume_of_a_finished_study_does_nothing(study, alone):
    before = {path: path.stat().st_mtime_ns for path in alone.rglob("*")}
    said = call(*study, "--out", alone, "--resume")
    assert "nothing to do" in said.err
    assert before == {path: path.stat().st_mtime_ns for path in alone.rglob("*")}


def test_resume_without_a_folder_begins(study, alone, tmp_path):
    call(*study, "--out", tmp_path / "study", "--workers", 1, "--resume")
    same_files(tmp_path / "study", alone)


def test_study_grows(study, alone, tmp_path):
    out = tmp_path / "study"
    first = [*study[:-1], 30]
    call(*first, "--out", out, "--workers", 1)
    call(*study, "--out", out, "--workers", 1, "--resume")
    same_files(out, alone)


def test_another_study_is_refused_by_name(study, alone):
    before = files(alone)
    changed = [*study, "--set", "ev.efficiency=0.9", "--seed", 7]
    changed[changed.index("uncoordinated,evms")] = "evms"
    changed[changed.index("--replications") + 1] = 50
    said = call(*changed, "--out", alone, "--resume", code=2)
    lines = [line.split(" = ")[0].split()[-1] for line in said.err.splitlines()[1:]]
    assert lines == ["seed", "ev.efficiency", "strategies", "replications"]
    assert "0.98" in said.err
    assert files(alone) == before


def test_changed_input_file_is_refused(tmp_path, small_tariff):
    argv = ("montecarlo", small_tariff, "--replications", 2, "--workers", 1)
    out = tmp_path / "study"
    call(*argv, "--out", out)
    prices = tmp_path / "prices.csv"
    prices.write_text(prices.read_text().replace("0.1", "0.2"))
    said = call(*argv, "--out", out, "--resume", code=2)
    assert "tariff.prices: the file has changed" in said.err


RULE = """
import numpy as np
from {helper} import START
class Night:
    def decide(self, fleet, broadcast, minute):
        return np.array([int(minute >= START)])
"""


@pytest.fixture
def own_rule(tmp_path):
    """A scenario whose rule lies beside it, with a module that the rule imports."""
    name = f"rule_{tmp_path.name}"  # modules are remembered: no two tests have one of a name
    (tmp_path / f"{name}.py").write_text(RULE.format(helper=f"{name}_start"))
    (tmp_path / f"{name}_start.py").write_text("START = 720\n")
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"extends: paper\nstrategy: {{rule: '{name}:Night'}}\n"
        "fleet: {evs_per_zone: 1}\nclock: {step_s: 900}\n"
    )
    yield path
    for module in (name, f"{name}_start"):
        sys.modules.pop(module, None)


@pytest.mark.parametrize("changed", ["", "_start"])
def test_changed_source_of_a_rule_is_refused(tmp_path, own_rule, changed):
    argv = ("montecarlo", own_rule, "--trust", "--replications", 2, "--workers", 1)
    out = tmp_path / "study"
    call(*argv, "--out", out)
    assert "nothing to do" in call(*argv, "--out", out, "--resume").err
    with (tmp_path / f"rule_{tmp_path.name}{changed}.py").open("a") as source:
        source.write("# a word more\n")
    said = call(*argv, "--out", out, "--resume", code=2)
    assert "strategy.rule: the file has changed" in said.err


def test_changed_edges_of_learning_owners_are_refused(tmp_path):
    (tmp_path / "edges.csv").write_text("ev_a,ev_b\n1,2\n")
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: paper\nowners: {learning: {graph: edges, edges: edges.csv}}\n"
        "horizon: {days: 2}\nfleet: {evs_per_zone: 1}\nclock: {step_s: 900}\n"
    )
    argv = ("montecarlo", path, "--replications", 2, "--workers", 1)
    out = tmp_path / "study"
    call(*argv, "--out", out)
    (tmp_path / "edges.csv").write_text("ev_a,ev_b\n1,3\n")
    said = call(*argv, "--out", out, "--resume", code=2)
    assert "owners.learning.edges: the file has changed" in said.err


def test_changed_file_of_a_sweep_is_refused(tmp_path, small_tariff):
    other = tmp_path / "other.csv"
    other.write_text((tmp_path / "prices.csv").read_text().replace("0.1", "0.3"))
    vary = f"tariff.prices={tmp_path / 'prices.csv'},{other}"
    argv = ("sweep", small_tariff, "--vary", vary, "--replications", 1, "--workers", 1)
    out = tmp_path / "study"
    call(*argv, "--out", out)
    assert "nothing to do" in call(*argv, "--out", out, "--resume").err
    other.write_text(other.read_text().replace("0.3", "0.4"))
    said = call(*argv, "--out", out, "--resume", code=2)
    assert f"tariff.prices={other}: the file has changed" in said.err


@pytest.fixture
def small_tariff(tmp_path):
    rows = "".join(f"{hour},0.1\n" for hour in range(24))
    (tmp_path / "prices.csv").write_text("hour,price\n" + rows)
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: paper\ntariff: {prices: prices.csv}\n"
        "fleet: {evs_per_zone: 1}\nclock: {step_s: 900}\n"
    )
    return path


def test_folder_that_is_there(study, alone, tmp_path):
    said = call(*study, "--out", alone, code=2)
    assert "--force" in said.err
    (tmp_path / "file").touch()
    said = call(*study, "--out", tmp_path, "--force", code=2).err
    assert "was not written by Evenfall" in said
    assert "either" in call(*study, "--out", alone, "--force", "--resume", code=2).err


def interrupted(alone, out):
    """The folder of a study that was killed after its last part."""
    out.mkdir()
    shutil.copy(alone / "study.json", out)
    shutil.copytree(alone / "parts", out / "parts")
    (out / "parts" / ".4242.tmp.0000000-000000.parquet").write_bytes(b"PAR1 half")
    return out


def test_force_replaces_what_was_interrupted(study, alone, tmp_path):
    out = interrupted(alone, tmp_path / "study")
    call(*study[:-1], 3, "--out", out, "--workers", 1, "--force")
    assert len(parts(out)) == 1
    assert (out / "manifest.json").exists()


@pytest.mark.parametrize("name", ["thesis.txt", "parts/data.parquet", "figures/photo.png"])
@pytest.mark.parametrize("finished", [True, False])
def test_force_leaves_a_file_of_somebody_else(study, alone, tmp_path, name, finished):
    out = tmp_path / "study"
    shutil.copytree(alone, out) if finished else interrupted(alone, out)
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text("ours is not")
    said = call(*study[:-1], 3, "--out", out, "--workers", 1, "--force")
    named = name if finished or "/" not in name or "parts" in name else "figures/"
    assert f"not written by Evenfall: {named}\n" in said.err
    assert (out / name).read_text() == "ours is not"
    assert len([part for part in parts(out) if part != "data.parquet"]) == 1
    first, second = call("verify", out).out.splitlines()
    assert first == f"{out}: extra: {name}"
    assert second.endswith(" all as they were written")


@pytest.mark.parametrize("content", ["{}", "no JSON", '{"format": "evenfall"}'])
@pytest.mark.parametrize("manifest", ["study.json", "manifest.json"])
@pytest.mark.parametrize("with_file", [True, False])
@pytest.mark.parametrize("verb", ["montecarlo", "sweep"])
def test_force_leaves_a_folder_whose_manifest_is_not_ours(
    tmp_path, content, manifest, with_file, verb
):
    mine = tmp_path / "p"
    mine.mkdir()
    (mine / manifest).write_text(content)
    if with_file:
        (mine / "thesis.txt").write_text("t")
    before = files(mine)
    argv = [verb, "paper", "--replications", 1, "--force"]
    argv += ["--vary", "ev.efficiency=0.9,1.0"] if verb == "sweep" else []
    call(*argv, "--out", mine, code=2)
    assert files(mine) == before


def test_force_never_replaces_the_working_folder(study, alone, tmp_path, monkeypatch):
    out = interrupted(alone, tmp_path / "study")
    monkeypatch.chdir(out)
    before = files(out)
    assert "working folder" in call(*study, "--out", ".", "--force", code=2).err
    assert files(out) == before


def test_killed_while_it_grows_a_study_keeps_its_files_known(study, alone, tmp_path):
    """As if killed right after the larger study was begun beside the folder of the smaller one."""
    out = tmp_path / "study"
    call(*study[:-1], 30, "--out", out, "--workers", 1)
    before = snapshot(out)
    asked = read_study(alone)
    with claim(out, resume=True) as claimed:
        folder = StudyFolder(claimed, asked, resume=True)
        assert list(folder.parts())
        folder.begin()
    assert snapshot(out) == before
    assert "nothing to do" in call(*study[:-1], 30, "--out", out, "--resume").err
    said = call(*study, "--out", out, "--workers", 1, "--resume")
    assert "going on with what a killed run had begun beside it" in said.err
    same_files(out, alone)
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_a_half_written_study_json_of_a_killed_run_goes(study, alone, tmp_path):
    out = interrupted(alone, tmp_path / "study")
    left_over, mine = out / ".4711.tmp.study.json", out / ".4711.tmp.thesis.txt"
    left_over.write_bytes((out / "study.json").read_bytes()[:100])
    mine.write_text("years of work")
    call(*study, "--out", out, "--workers", 1, "--resume")
    assert not left_over.exists()
    assert mine.read_text() == "years of work"


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_folder_made_while_a_study_waits_for_its_workers_stays(
    study, tmp_path, monkeypatch, force
):
    out, ready = tmp_path / "study", montecarlo.open_backend

    def late(*how):
        out.mkdir()
        (out / "thesis.txt").write_text("years of work")
        return ready(*how)

    monkeypatch.setattr(montecarlo, "open_backend", late)
    said = call(*study, "--out", out, "--workers", 1, *force, code=2)
    assert "made meanwhile" in said.err
    assert snapshot(tmp_path) == {out / "thesis.txt": b"years of work"}


def test_links_and_folders_in_the_way_of_parts_are_kept(study, alone, tmp_path):
    out, album = tmp_path / "study", tmp_path / "album"
    interrupted(alone, out)
    (out / "parts").rename(album)
    (out / "parts").symlink_to(album)
    before = snapshot(album)
    call(*study, "--out", out, "--workers", 1, "--resume")
    same_files(out, alone)
    assert snapshot(album) == before
    assert (tmp_path / "study.kept" / "parts").readlink() == album
    out = interrupted(alone, tmp_path / "other")
    first, second = parts(out)[:2]
    (out / "parts" / first).rename(tmp_path / "mine")
    (out / "parts" / first).symlink_to(tmp_path / "mine")
    (out / "parts" / second).unlink()
    (out / "parts" / second).mkdir()
    call(*study, "--out", out, "--workers", 1, "--resume")
    same_files(out, alone)
    assert {path.name for path in (tmp_path / "other.kept" / "parts").iterdir()} == {first, second}
    assert call("verify", out).out.startswith(f"{out}: ")


def test_a_rule_that_was_loaded_before_it_changed_is_refused(tmp_path, own_rule):
    argv = ("montecarlo", own_rule, "--trust", "--replications", 2, "--workers", 1)
    call(*argv, "--out", tmp_path / "study")
    source = tmp_path / f"rule_{tmp_path.name}.py"
    with source.open("a") as file:
        file.write("# a word more\n")
    # This very process has the rule as it was.
    said = call(*argv, "--out", tmp_path / "other", code=2).err
    assert f"in a worker: {source.name} = " in said
    assert "the file has changed around the beginning of the study" in said
    assert not (tmp_path / "other").exists()


def test_a_worker_with_other_packages_is_refused(study, tmp_path, monkeypatch):
    def otherwise(scenarios):
        made = made_with(scenarios)
        return {**made, "python": "2.7", "versions": {**made["versions"], "numpy": "0.1"}}

    made_with = replications.made_with
    monkeypatch.setattr(replications, "made_with", otherwise)
    said = call(*study, "--out", tmp_path / "study", "--workers", 1, code=2).err.splitlines()
    assert [line.split(" = ")[0] for line in said if "in a worker" in line] == [
        "  in a worker: python",
        "  in a worker: numpy",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_moved_while_its_study_runs_can_be_gone_on_with(
    study, alone, tmp_path, monkeypatch
):
    out, moved, add = tmp_path / "study", tmp_path / "moved", StudyFolder.add

    def add_and_move(folder, name, content):
        add(folder, name, content)
        if out.exists():
            out.rename(moved)

    monkeypatch.setattr(StudyFolder, "add", add_and_move)
    said = call(*study, "--out", out, "--workers", 1, code=1)
    assert "study.json: gone, or changed by somebody else, while the study ran" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["moved"]
    monkeypatch.undo()
    call(*study, "--out", moved, "--workers", 1, "--resume")
    same_files(moved, alone)


def test_what_is_not_the_study_s_stays_and_is_named(study, alone, tmp_path):
    out = interrupted(alone, tmp_path / "study")
    (out / "note.txt").write_text("mine")
    (out / "summary.csv").write_text("mine, too")
    said = call(*study, "--out", out, "--workers", 1, "--resume").err
    assert f"{out}: left as it was, not written by Evenfall: note.txt\n" in said
    assert "summary.csv was not as Evenfall wrote it; it is kept in study.kept/summary.csv" in said
    assert (out / "note.txt").read_text() == "mine"
    assert (tmp_path / "study.kept" / "summary.csv").read_text() == "mine, too"
    (out / "note.txt").unlink()
    same_files(out, alone)


def test_a_stop_as_the_folder_gets_its_name_leaves_nothing(tmp_path, monkeypatch, capsys):
    rename = Path.rename

    def stopped(self, target):
        found = rename(self, target)
        if Path(target).name == "out":
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(Path, "rename", stopped)
    argv = ["montecarlo", "paper", "--replications", "4", "--workers", "1"]
    assert main([*argv, "--out", str(tmp_path / "out")]) == 130
    assert "was left as it was" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []

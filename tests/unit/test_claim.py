"""Output folders: whose they are, who may write into them, and what becomes of what was there."""

import errno
import json
import os
import subprocess
import sys
from collections import namedtuple
from types import SimpleNamespace

import pytest

from abm import Scenario
from abm.errors import MachineError, OutputExistsError
from abm.results import lock, staging, swap
from abm.results.claim import claim, new_folder
from abm.results.folder import manifest
from abm.results.ownership import check_written, listed, printable
from abm.results.seals import sealed


def write(path, files, force=False):
    """A result of these files; the lines that were said."""
    said = []
    with new_folder(path, force, said.append) as folder:
        for name, content in files.items():
            folder.write(name, content)
        folder.write_manifest(manifest("run", Scenario(), ["evms"]))
    return said


OLD = {"table.csv": "a,b\n1,2\n", "figures/a.png": b"old", "figures/b.png": b"old only"}
NEW = {"table.csv": "a,b\n3,4\n", "figures/a.png": b"new", "sub/c.txt": "new"}


def shown(content):
    return content if isinstance(content, bytes) else content.encode()


def snapshot(folder):
    return {
        path.relative_to(folder).as_posix(): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in sorted(folder.rglob("*"))
    }


def holds(out, files, others=()):
    """The folder has these files of ours, whole, and these others; no more."""
    check = check_written(out)
    assert check.damaged == []
    assert check.extra == sorted(others)
    for name, content in files.items():
        assert (out / name).read_bytes() == shown(content)
    assert set(listed(out)) == {*files, "manifest.json"}


# --- whose a folder is -------------------------------------------------------------------------

Case = namedtuple("Case", "make allowed forced")


def about(path, **changes):
    """A folder with a manifest that is ours but for what is changed, and a thesis."""
    path.mkdir()
    (path / "thesis.txt").write_text("years of work")
    content = {**manifest("run", Scenario(), ["evms"]), "written": {}, **changes}
    (path / "manifest.json").write_text(json.dumps(sealed(content)))


def text(name, content):
    def make(path):
        path.mkdir()
        (path / name).write_text(content)

    return make


def unsealed(path):
    about(path, written={"thesis.txt": "0" * 64})
    content = json.loads((path / "manifest.json").read_text())
    del content["seal"]
    (path / "manifest.json").write_text(json.dumps(content))


def lists(name, sha256="0" * 64):
    return lambda path: about(path, written={name: sha256})


def linked_manifest(path):
    write(path.parent / "elsewhere", OLD)
    path.mkdir()
    (path / "manifest.json").symlink_to(path.parent / "elsewhere" / "manifest.json")


CASES = {
    "nothing": Case(lambda path: None, True, True),
    "empty": Case(lambda path: path.mkdir(), False, True),
    "ours": Case(lambda path: write(path, OLD), False, True),
    "foreign": Case(text("thesis.tex", "years of work"), False, False),
    "empty manifest": Case(text("manifest.json", ""), False, False),
    "manifest {}": Case(text("manifest.json", "{}"), False, False),
    "study {}": Case(text("study.json", "{}"), False, False),
    "manifest []": Case(text("manifest.json", "[]"), False, False),
    "deep manifest": Case(text("manifest.json", "[" * 100_000), False, False),
    "somebody's manifest": Case(text("manifest.json", '{"name": "an extension"}'), False, False),
    "manifest without a seal": Case(unsealed, False, False),
    "another format": Case(lambda path: about(path, format="other"), False, False),
    "another version": Case(lambda path: about(path, format_version=99), False, False),
    "no list": Case(lambda path: about(path, written=["thesis.txt"]), False, False),
    "no hashes": Case(lists("thesis.txt", "yes"), False, False),
    "out of it": Case(lists("../thesis.txt"), False, False),
    "out and in": Case(lists("a/../../thesis.txt"), False, False),
    "absolute": Case(lists("/etc/passwd"), False, False),
    "not plain": Case(lists("./thesis.txt"), False, False),
    "manifest elsewhere": Case(linked_manifest, False, False),
    "file": Case(lambda path: path.write_text("a file"), False, False),
    "dangling link": Case(lambda path: path.symlink_to("nowhere"), False, False),
    "circle of links": Case(lambda path: path.symlink_to(path), False, False),
}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_may_be_written_over(tmp_path, case, force):
    out = tmp_path / "out"
    case.make(out)
    before = snapshot(tmp_path)
    if case.forced if force else case.allowed:
        assert write(out, NEW, force) == []
        holds(out, NEW)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
    else:
        with pytest.raises(OutputExistsError) as caught, claim(out, force):
            pytest.fail("the folder must not be claimed")
        assert caught.value.problems[0].field == "--out"
        assert ("--force" in str(caught.value)) == case.forced
        assert snapshot(tmp_path) == before


LONG = "x" * 300


@pytest.mark.parametrize("name", ["", ".", "..", "/", LONG, "a\0b", "file/x", f"{LONG}/x"])
def test_paths_that_no_result_can_have(tmp_path, monkeypatch, name):
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    before = snapshot(tmp_path)
    for force in (False, True):
        with (
            pytest.raises(OutputExistsError, match="--out"),
            claim(type(tmp_path)(name), force),
        ):
            pytest.fail("the folder must not be claimed")
    assert snapshot(tmp_path) == before


def test_a_long_name_has_its_hidden_folders_too(tmp_path):
    write(tmp_path / ("x" * 255), OLD)
    write(tmp_path / ("x" * 255), NEW, force=True)
    holds(tmp_path / ("x" * 255), NEW)


def test_a_folder_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    write(tmp_path / "out", OLD)
    for folder in (tmp_path / "out", tmp_path):
        # The superuser, who may run this, is never denied anything.
        monkeypatch.setattr(os, "access", lambda path, _, denied=folder: path != denied)
        with pytest.raises(OutputExistsError, match="may write"), claim(tmp_path / "out", True):
            pytest.fail("the folder must not be claimed")
    holds(tmp_path / "out", OLD)


def test_parents_are_made_and_go_again_when_nothing_comes_of_it(tmp_path):
    with pytest.raises(KeyError), claim(tmp_path / "a" / "b"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "a" / "b", NEW)
    holds(tmp_path / "a" / "b", NEW)


# --- what is replaced, and what stays ----------------------------------------------------------


@pytest.fixture(params=["in one step", "file by file"])
def _swap(request, monkeypatch):
    """With and without a system that can swap two folders in one step."""
    if request.param == "file by file":
        monkeypatch.setattr(swap, "_exchange", lambda a, b: False)


@pytest.mark.usefixtures("_swap")
def test_only_what_was_written_is_replaced(tmp_path):
    out, thesis = tmp_path / "out", tmp_path / "thesis.txt"
    thesis.write_text("years of work")
    write(out, OLD)
    (out / "note.txt").write_text("mine")
    (out / "figures" / "photo.png").write_text("mine")
    (out / "empty").mkdir()
    (out / "data" / "deep").mkdir(parents=True)
    (out / "data" / "deep" / "d.csv").write_text("mine")
    (out / "link").symlink_to(thesis)
    mine = {n: c for n, c in snapshot(out).items() if n not in (*OLD, "manifest.json")}
    said = write(out, NEW, force=True)
    foreign = ["data/", "empty/", "figures/photo.png", "link", "note.txt"]
    assert said == [f"{out}: left as it was, not written by Evenfall: {', '.join(foreign)}"]
    holds(out, NEW, foreign)
    after = snapshot(out)
    assert {name: after[name] for name in mine} == mine
    assert thesis.read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "thesis.txt"]


@pytest.mark.usefixtures("_swap")
@pytest.mark.parametrize("foreign", [False, True])
def test_what_was_changed_since_is_kept(tmp_path, foreign):
    out = tmp_path / "out"
    write(out, OLD)
    (out / "table.csv").write_text("my own remarks")
    (out / "figures" / "b.png").write_text("drawn over")
    if foreign:
        (out / "note.txt").write_text("mine")
    said = write(out, NEW, force=True)
    assert (tmp_path / "out.kept" / "table.csv").read_text() == "my own remarks"
    assert (out / "figures" / "b.png").read_text() == "drawn over"
    holds(out, NEW, ["figures/b.png", *(["note.txt"] if foreign else [])])
    assert any("out.kept/table.csv" in line for line in said)
    assert any("figures/b.png" in line for line in said)
    # Another time another name.
    (out / "table.csv").write_text("more remarks")
    write(out, OLD, force=True)
    assert (tmp_path / "out.kept" / "table.csv").read_text() == "my own remarks"
    assert (tmp_path / "out.kept" / "table.csv2").read_text() == "more remarks"


@pytest.mark.usefixtures("_swap")
def test_nothing_is_written_or_removed_through_a_link(tmp_path):
    out, album = tmp_path / "out", tmp_path / "album"
    write(out, OLD)
    (out / "figures").rename(album)  # a.png and b.png there have the very hashes of the list
    (out / "figures").symlink_to(album)
    (out / "table.csv").rename(tmp_path / "mine.csv")
    (out / "table.csv").symlink_to(tmp_path / "mine.csv")
    before = snapshot(album), (tmp_path / "mine.csv").read_bytes()
    write(out, NEW, force=True)
    assert (snapshot(album), (tmp_path / "mine.csv").read_bytes()) == before
    holds(out, NEW)
    kept = snapshot(tmp_path / "out.kept")
    assert kept == {"figures": str(album), "table.csv": str(tmp_path / "mine.csv")}


@pytest.mark.usefixtures("_swap")
def test_a_folder_of_somebody_in_the_way_of_a_file(tmp_path):
    out = tmp_path / "out"
    write(out, OLD)
    (out / "table.csv").unlink()
    (out / "table.csv").mkdir()
    (out / "table.csv" / "thesis.txt").write_text("years of work")
    (out / "sub").write_text("mine")
    write(out, NEW, force=True)
    holds(out, NEW)
    assert (tmp_path / "out.kept/table.csv/thesis.txt").read_text() == "years of work"
    assert (tmp_path / "out.kept/sub").read_text() == "mine"


def test_a_link_to_a_folder_of_ours_stays_one(tmp_path):
    write(tmp_path / "real", OLD)
    (tmp_path / "out").symlink_to("real")
    write(tmp_path / "out", NEW, force=True)
    assert os.readlink(tmp_path / "out") == "real"
    holds(tmp_path / "real", NEW)


def test_the_mode_of_a_folder_stays(tmp_path):
    write(tmp_path / "out", OLD)
    (tmp_path / "out").chmod(0o2775)
    write(tmp_path / "out", NEW, force=True)
    assert (tmp_path / "out").stat().st_mode & 0o7777 == 0o2775


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("there", [False, True])
def test_a_write_that_fails_leaves_things_as_they_were(tmp_path, there, error):
    if there:
        write(tmp_path / "out", OLD)
    before = snapshot(tmp_path)

    def half():
        with new_folder(tmp_path / "out", force=True) as folder:
            folder.write("half.txt", "half")
            raise error

    with pytest.raises(type(error)):
        half()
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_appears_meanwhile_is_not_overwritten(tmp_path, force):
    def meanwhile():
        with new_folder(tmp_path / "out", force) as folder:
            folder.write_manifest(manifest("run", Scenario(), ["evms"]))
            text("thesis.tex", "years of work")(tmp_path / "out")

    with pytest.raises(OutputExistsError, match="made meanwhile"):
        meanwhile()
    assert snapshot(tmp_path) == {"out": None, "out/thesis.tex": b"years of work"}


def test_names_are_printed_without_control_characters(tmp_path):
    write(tmp_path / "out", OLD)
    (tmp_path / "out" / "\x1b[2Jx\n").touch()
    assert "\\x1b[2Jx\\n" in write(tmp_path / "out", NEW, force=True)[0]
    assert printable("ä b") == "ä b"


# --- the lock ----------------------------------------------------------------------------------


def lock_of(out):
    return out.parent / f".{out.name}.evenfall.lock"


def test_a_folder_has_one_claim_at_a_time(tmp_path):
    out = tmp_path / "out"
    (tmp_path / "link").symlink_to(tmp_path)
    with claim(out):
        for same in (out, tmp_path / "link" / "out", tmp_path / "x" / ".." / "out"):
            with pytest.raises(OutputExistsError, match=f"process {os.getpid()} on"), claim(same):
                pytest.fail("there is a claim")
    write(out, NEW)
    assert not lock_of(out).exists()


def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def holder(out, **changes):
    """A lock as this process makes it, but for what is changed."""
    with claim(out):
        content = json.loads(lock_of(out).read_text())
    lock_of(out).write_text(json.dumps({**content, **changes}))


STALE = {
    "its process is dead": lambda: {"pid": dead_pid()},
    "its number has another process": lambda: {"began": "1"},
    "before the machine was started": lambda: {"boot": "another"},
}
LIVE = {
    "it lives": {},
    "on another host": {"host": "elsewhere", "pid": 2**22 + 1},
    "in another container": {"space": "1", "pid": 2**22 + 1},
}


@pytest.mark.skipif(sys.platform != "linux", reason="nobody says when a process began")
@pytest.mark.parametrize("change", STALE.values(), ids=STALE)
def test_a_dead_lock_is_taken_over(tmp_path, change):
    holder(tmp_path / "out", **change())
    said = write(tmp_path / "out", NEW)
    assert len(said) == 1
    assert "its lock is taken over" in said[0]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("change", LIVE.values(), ids=LIVE)
def test_a_lock_that_may_be_alive_is_respected(tmp_path, change):
    holder(tmp_path / "out", **change)
    before = snapshot(tmp_path)
    with pytest.raises(OutputExistsError) as caught, claim(tmp_path / "out", force=True):
        pytest.fail("there is a lock")
    content = json.loads(lock_of(tmp_path / "out").read_text())
    assert f"process {content['pid']} on {content['host']}" in str(caught.value)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"pid": "x", "host": 1}'])
def test_a_lock_that_says_nothing_is_left(tmp_path, content):
    lock_of(tmp_path / "out").write_text(content)
    with pytest.raises(OutputExistsError, match=r"remove \.out\.evenfall"), claim(tmp_path / "out"):
        pytest.fail("there is a lock")
    assert lock_of(tmp_path / "out").read_text() == content


@pytest.mark.skipif(sys.platform != "linux", reason="nobody says who is buried")
def test_who_is_dead_and_not_buried_holds_no_lock(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        process.stdout.read()  # it has ended; nobody has waited for it yet
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        holder(tmp_path / "out", pid=process.pid)
        write(tmp_path / "out", NEW)
    holds(tmp_path / "out", NEW)


def test_without_hard_links_the_lock_is_made_all_the_same(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError

    monkeypatch.setattr(os, "link", no_links)
    with claim(tmp_path / "out"):
        with pytest.raises(OutputExistsError, match="process"), claim(tmp_path / "out"):
            pytest.fail("there is a claim")
        monkeypatch.undo()
    write(tmp_path / "out", NEW)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


# --- what killed runs leave --------------------------------------------------------------------


def abandoned(out, files, complete=False):
    """What a run leaves that is killed before, or after, its result is complete."""
    stage = staging.Stage.make(out)
    folder = stage.output()
    for name, content in files.items():
        folder.write(name, content)
    if complete:
        folder.write_manifest(manifest("run", Scenario(), ["evms"]))
        stage.complete(listed(out))
    return stage


def test_left_overs_are_named_and_removed(tmp_path):
    out = tmp_path / "out"
    stage = abandoned(out, NEW)
    (stage.new / f".{os.getpid()}.tmp.table.csv").touch()
    assert write(out, OLD) == [f"{stage.folder}: left by a run that was killed; removed"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_left_overs_of_another_folder_and_of_somebody_else_stay(tmp_path):
    abandoned(tmp_path / "out2", NEW)
    abandoned(tmp_path / "out.0123abcd", NEW)
    other = tmp_path / ".out.0123abcd.evenfall"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    before = snapshot(tmp_path)
    write(tmp_path / "out", OLD)
    after = snapshot(tmp_path)
    assert {name: after[name] for name in before} == before


def test_somebody_s_file_within_a_left_over_stays(tmp_path):
    stage = abandoned(tmp_path / "out", NEW)
    (stage.new / "thesis.txt").write_text("years of work")
    said = write(tmp_path / "out", OLD)
    assert "thesis.txt" in said[1]
    assert (stage.new / "thesis.txt").read_text() == "years of work"
    assert snapshot(stage.folder).keys() == {"new", "new/thesis.txt"}


@pytest.mark.parametrize("there", [False, True])
def test_a_complete_result_is_put_in_its_place_by_the_next_run(tmp_path, there):
    out = tmp_path / "out"
    if there:
        write(out, OLD)
    abandoned(out, NEW, complete=True)
    said = []
    with pytest.raises(OutputExistsError, match="--force"), claim(out, tell=said.append):
        pytest.fail("there is a result")
    assert said == [f"{out}: has the result of a run that was killed, which was ready"]
    holds(out, NEW)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_complete_result_without_its_place_stays(tmp_path):
    out = tmp_path / "out"
    stage = abandoned(out, NEW, complete=True)
    text("thesis.tex", "years of work")(out)
    before = snapshot(tmp_path)
    said = []
    with pytest.raises(OutputExistsError), claim(out, force=True, tell=said.append):
        pytest.fail("this is somebody else's")
    assert said == [f"{stage.folder}: the result of a run that was killed; left"]
    assert snapshot(tmp_path) == before


# --- what comes in between ---------------------------------------------------------------------


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("step", ["_retire", "remove"])
def test_who_stops_a_run_that_is_all_but_over_has_its_result(tmp_path, monkeypatch, there, step):
    out = tmp_path / "out"
    if there:
        write(out, OLD)
    method, stopped = getattr(staging.Stage, step), []

    def stop_once(self, *arguments):
        if not stopped:
            stopped.append(True)
            raise KeyboardInterrupt
        return method(self, *arguments)

    monkeypatch.setattr(staging.Stage, step, stop_once)
    with pytest.raises(KeyboardInterrupt) as caught:
        write(out, NEW, force=True)
    assert caught.value.__notes__ == [f"the result is whole, in {out}"]
    holds(out, NEW)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("fails", [1, 2, 3, 4, 5])
def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch, fails):
    """Wherever it is full."""
    write(tmp_path / "out", OLD)
    before, left = snapshot(tmp_path), [fails]

    def text_of(content, **more):
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return json.dumps(content, **more)

    def dump(content, file):
        file.write(text_of(content))

    # Who holds the lock, whose the stage is, a result, its manifest, what it replaces.
    monkeypatch.setattr(lock, "json", SimpleNamespace(dump=dump, loads=json.loads))
    monkeypatch.setattr(staging, "json", SimpleNamespace(dumps=text_of, loads=json.loads))
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / "out", {"kpis.json": {"a": 1}}, force=True)
    monkeypatch.undo()
    assert snapshot(tmp_path) == before


def test_what_is_kept_is_not_kept_through_a_link(tmp_path):
    out, album = tmp_path / "out", tmp_path / "album"
    write(out, OLD)
    album.mkdir()
    (tmp_path / "out.kept").symlink_to(album)
    (tmp_path / "out.kept2").mkdir()
    (tmp_path / "out.kept2" / "figures").symlink_to(album)
    (out / "table.csv").write_text("my own remarks")
    (out / "figures" / "a.png").write_text("drawn over")
    write(out, NEW, force=True)
    assert list(album.iterdir()) == []
    assert (tmp_path / "out.kept2" / "table.csv").read_text() == "my own remarks"
    assert (tmp_path / "out.kept3" / "figures" / "a.png").read_text() == "drawn over"


def test_a_result_that_loses_files_while_it_is_made_is_none(tmp_path):
    write(tmp_path / "out", OLD)
    before = snapshot(tmp_path)

    def loses():
        with new_folder(tmp_path / "out", force=True) as folder:
            folder.write("table.csv", "a")
            folder.write_manifest(manifest("run", Scenario(), ["evms"]))
            (folder.path / "table.csv").unlink()

    with pytest.raises(MachineError, match="has lost files while the result was made"):
        loses()
    assert snapshot(tmp_path) == before


def test_a_complete_result_does_not_go_into_a_folder_that_is_another_by_now(tmp_path):
    out = tmp_path / "out"
    write(out, OLD)
    stage = abandoned(out, NEW, complete=True)
    out.rename(tmp_path / "mine")
    text("thesis.tex", "years of work")(out)
    before = snapshot(tmp_path)
    said = []
    with pytest.raises(OutputExistsError), claim(out, tell=said.append):
        pytest.fail("there is a folder")
    assert said == [f"{stage.folder}: the result of a run that was killed; left"]
    assert snapshot(tmp_path) == before

"""Kills and damage to output folders, by the hundred; a script that forks a process for each try.

    python tests/faults/storage_tries.py CLASS FOLDER

prints how many tries there were and what did not hold, as JSON. At which file operation a process
dies is counted, not timed: but for the race of `claims at once` every try is the same everywhere.
"""

import io
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from abm.cli import main
from abm.errors import OutputExistsError
from abm.results import staging, swap
from abm.results.claim import claim, new_folder
from abm.results.ownership import FORMAT, FORMAT_VERSION, check_written, read_manifest
from abm.results.seals import open_part, seal_part

# What touches files; what only reads them changes nothing, but a process may die there as well.
OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.chmod"}
ABOUT = {"format": FORMAT, "format_version": FORMAT_VERSION, "study": "run", "seed": 1}


def die_at(count: int) -> None:
    """Kill this process, as with kill -9, right before its file operation number `count`."""
    left = [count]

    def hook(event: str, arguments: tuple) -> None:
        if event in OPERATIONS:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def forked(work, count: int = 0) -> int | None:
    """Run work() in a process of its own; None where it was killed at operation `count`."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            if count:
                die_at(count)
            code = work() or 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def snapshot(folder: Path) -> dict:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def restore(folder: Path, kept: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(kept, folder, symlinks=True)


class Tries:
    """What was tried, and what did not hold."""

    def __init__(self) -> None:
        self.tried, self.failed = 0, []

    def note(self, what: str, holds: bool) -> None:
        self.tried += 1
        if not holds:
            self.failed.append(what)


# --- one result in the place of another ---------------------------------------------------------

OLD = {"kpis.json": {"a": 1}, "ev.csv": "old", "figures/a.png": b"old", "figures/b.png": b"gone"}
NEW = {"kpis.json": {"a": 2}, "ev.csv": "new", "figures/a.png": b"new", "sub/c.csv": "new"}
MINE = {"note.txt": b"mine", "figures/photo.png": b"mine", "data/d.csv": b"mine"}


def result(out: Path, files: dict) -> None:
    with new_folder(out, force=True) as folder:
        for name, content in files.items():
            folder.write(name, content)
        folder.write_manifest({**ABOUT, "wall_s": len(files)})


def has(out: Path, files: dict) -> bool:
    """Whether all of a result is there, and nothing of it that is not as it was written."""
    check, found = check_written(out), read_manifest(out)
    return check is not None and not check.damaged and set(found["written"]) == set(files)


def kill_replacing(top: Path, foreign: bool, in_one_step: bool, there: bool = True) -> Tries:
    """Kill a run that replaces a result at each of its file operations, and the next one, too."""
    if not in_one_step:
        swap._exchange = lambda a, b: False
    kept, here = top / "kept", top / "here"
    (kept / "in").mkdir(parents=True)
    out = here / "in" / "out"
    if there:
        result(kept / "in" / "out", OLD)
    if foreign:
        for name, content in MINE.items():
            path = kept / "in" / "out" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        (kept / "in" / "out" / "link").symlink_to("/etc")
    here.mkdir()
    tries, count, code = Tries(), 0, None
    while code is None:
        count += 1
        restore(here, kept)
        code = forked(lambda: result(out, NEW), count)
        whole = has(out, NEW) or (has(out, OLD) if there else not os.path.lexists(out))
        # With something of somebody else's in it, files are replaced one by one.
        whole = whole or (foreign and any(stage.is_complete for stage in left(out)))
        tries.note(f"at {count}: neither old nor new", whole)
        tries.note(f"at {count}: not what is mine", mine_is_there(out, foreign))
        # The run that finds it dies there as well, at a place that varies; the third one does not.
        forked(lambda: recovered(out), 1 + (7 * count) % 40)
        tries.note(f"at {count}: not what is mine, after", mine_is_there(out, foreign))
        forked(lambda: recovered(out))
        whole = has(out, NEW) or (has(out, OLD) if there else not os.path.lexists(out))
        tries.note(f"at {count}: not recovered", whole)
        if count % 5 == 0:
            forked(lambda: result(out, NEW))
            tries.note(f"at {count}: not replaced", has(out, NEW) and mine_is_there(out, foreign))
        hidden = [path.name for path in (here / "in").iterdir() if path.name != "out"]
        tries.note(f"at {count}: left over {hidden}", not hidden)
    tries.note("the last run was to end by itself", code == 0 and count > 20)
    return tries


def left(out: Path) -> list[staging.Stage]:
    return [staging.Stage(path) for path in out.parent.glob(".out.*.evenfall")]


def recovered(out: Path) -> None:
    try:
        with claim(out):
            pass
    except OutputExistsError:
        pass


def mine_is_there(out: Path, foreign: bool) -> bool:
    return not foreign or (
        all((out / name).read_bytes() == content for name, content in MINE.items())
        and os.readlink(out / "link") == "/etc"
    )


# --- one folder, many runs ----------------------------------------------------------------------


def claim_at_once(top: Path, n_runs: int, n_claims: int) -> Tries:
    """Many processes want one folder at once, and some die while they have it: one has it."""
    top.mkdir()
    out, inside, noted = top / "out", top / "inside", top / "noted"

    def runs(number: int) -> int:
        dice = random.Random(number)
        for _ in range(n_claims):
            try:
                with claim(out):
                    inside.write_text(str(os.getpid()))
                    time.sleep(0.001 * dice.random())
                    alone = inside.read_text() == str(os.getpid())
                    with noted.open("a") as file:
                        file.write(f"{int(alone)}\n")
                    if dice.random() < 0.2:
                        os.kill(os.getpid(), signal.SIGKILL)
            except OutputExistsError:
                time.sleep(0.001 * dice.random())
        return 0

    children = {}
    for number in range(n_runs):
        child = os.fork()
        if child == 0:
            os._exit(runs(number))
        children[child] = number
    tries = Tries()
    while children:
        child, status = os.waitpid(-1, 0)
        number = children.pop(child)
        if os.WIFSIGNALED(status) and number < 40 * n_runs:
            # Another one in place of who has died.
            again = os.fork()
            if again == 0:
                os._exit(runs(number + n_runs))
            children[again] = number + n_runs
        else:
            tries.note(f"run {number}: {status}", os.WEXITSTATUS(status) == 0)
    for line, alone in enumerate(noted.read_text().split()):
        tries.note(f"claim {line}: two had it", alone == "1")
    forked(lambda: recovered(out))
    tries.note("left over", sorted(p.name for p in top.iterdir()) == ["inside", "noted"])
    return tries


# --- studies ------------------------------------------------------------------------------------

SIZE = ("--set", "fleet.evs_per_zone=1", "--set", "clock.step_s=1800")
STUDY = ("montecarlo", "paper", *SIZE, "--strategies", "uncoordinated", "--workers", "1")
N, FEWER = 120, 60


def study(out: Path, *more: object, n: int = N) -> int:
    """The verb in this process, its figures left out."""
    import abm.report.study_figures

    abm.report.study_figures.ensemble_figures = lambda *_: {}
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main([*STUDY, "--replications", str(n), "--out", str(out), *map(str, more)])
    if code not in (0, 1, 2):
        sys.stderr.write(said.getvalue())
    return code


def tables(out: Path) -> dict:
    """What a study says, parts included, byte for byte: all but how long it took."""
    found = snapshot(out)
    return {name: content for name, content in found.items() if name != "manifest.json"}


def warm() -> None:
    """Import what a study needs, so that every fork has it."""
    import importlib

    for name in ("abm.study.preload", "abm.report.study_figures", "abm.report.study_terminal",
                 "abm.study.montecarlo", "abm.study.folder", "pyarrow.parquet"):  # fmt: skip
        importlib.import_module(name)


def made(out: Path, n: int = N) -> Path:
    if forked(lambda: study(out, n=n)) != 0:
        raise AssertionError("the study itself does not run")
    return out


def operations_of(out: Path, *more: object) -> int:
    """How many file operations a study takes."""
    trial, noted = out.parent / "trial", out.parent / "operations"
    if out.exists():
        shutil.copytree(out, trial)

    def counted() -> int:
        found = [0]

        def hook(event: str, arguments: tuple) -> None:
            found[0] += event in OPERATIONS

        sys.addaudithook(hook)
        code = study(trial, *more)
        noted.write_text(str(found[0]))
        return code

    if forked(counted) != 0:
        raise AssertionError("the study itself does not run")
    shutil.rmtree(trial)
    return int(noted.read_text())


def kill_study(top: Path, how: str, n_tries: int) -> Tries:
    """Kill a study at random, again and again until it is finished; its bytes stay the same.

    how: "new"; "force" replaces a finished one; "grow" goes on with a smaller one.
    """
    warm()
    dice, tries = random.Random(f"{how} 1"), Tries()
    alone = tables(made(top / "alone"))
    small = made(top / "small", FEWER)
    before = tables(small)
    options = {"new": (), "force": ("--force",), "grow": ("--resume",)}[how]
    most = operations_of(top / "none" if how == "new" else small, *options)
    for number in range(n_tries):
        here = top / f"try{number}"
        here.mkdir()
        out = here / "out"
        if how != "new":
            shutil.copytree(small, out)
        # Half of them at the beginning, where the folder is made.
        at = dice.randrange(1, most if number % 2 else most // 4)
        code = forked(lambda out=out: study(out, *options), at)
        if how != "new" and code is None:
            whole = check_written(out)
            same = tables(out) in (before, alone)
            tries.note(f"{how} at {at}: neither old nor new", same and not whole.damaged)
        for _ in range(dice.randrange(3)):
            forked(lambda out=out: study(out, "--resume"), dice.randrange(1, most))
        code = forked(lambda out=out: study(out, "--resume"))
        if how == "force" and code == 2:
            # It died before there was anything to go on with: the old one is there, and smaller.
            code = forked(lambda out=out: study(out, "--force"))
        tries.note(f"{how} at {at}: other bytes, {code}", code == 0 and tables(out) == alone)
        tries.note(f"{how} at {at}: not as written", not check_written(out).differences)
        tries.note(f"{how} at {at}: left over", [p.name for p in here.iterdir()] == ["out"])
        shutil.rmtree(here)
    return tries


# --- damage -------------------------------------------------------------------------------------


def flipped(content: bytes, dice: random.Random) -> bytes:
    at, bit = dice.randrange(len(content)), 1 << dice.randrange(8)
    return content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]


DAMAGE = {
    "flip": flipped,
    "cut": lambda content, dice: content[: dice.randrange(len(content))],
    "empty": lambda content, dice: b"",
    "zeros": lambda content, dice: bytes(len(content)),
    "longer": lambda content, dice: content + b"\0",
}


def damage_parts(top: Path) -> Tries:
    """Every kind of damage to a part's bytes is seen; 500 single bits among them."""
    warm()
    dice, tries = random.Random(2), Tries()
    out = made(top / "study", 2)
    (path,) = (out / "parts").iterdir()
    part = path.read_bytes()
    # Whatever the key, which only the folder knows: a part sealed here is opened here.
    bare = part[: part.rindex(b"EVENFALL")] + part[part.rindex(b"EVENFALL") + 40 :]
    part = seal_part(bare, "study", "0")
    tries.note("whole", open_part(part, "study", "0") == bare)
    tries.note("another study", open_part(part, "other", "0") is None)
    tries.note("another name", open_part(part, "study", "1") is None)
    tries.note("no seal", open_part(bare, "study", "0") is None)
    for number in range(500):
        tries.note(f"bit {number}", open_part(flipped(part, dice), "study", "0") is None)
    for cut in range(0, len(part), max(1, len(part) // 200)):
        tries.note(f"cut at {cut}", open_part(part[:cut], "study", "0") is None)
    return tries


def resume_damaged(top: Path, n_tries: int) -> Tries:
    """A study that was killed, with damaged, swapped and foreign parts: the same bytes."""
    warm()
    dice, tries = random.Random(3), Tries()
    alone = made(top / "alone")
    wanted = tables(alone)
    other = top / "other"
    if forked(lambda: study(other, "--seed", "7")) != 0:
        raise AssertionError("the study itself does not run")
    kinds = [*DAMAGE, "swap", "foreign", "gone"]
    for number in range(n_tries):
        here = top / f"try{number}"
        here.mkdir()
        out, kind = here / "out", kinds[number % len(kinds)]
        out.mkdir()
        shutil.copy(alone / "study.json", out)
        shutil.copytree(alone / "parts", out / "parts")
        if number % 2:
            shutil.copytree(alone, out, dirs_exist_ok=True)
        part, second, *_ = dice.sample(sorted((out / "parts").iterdir()), 2)
        if kind == "swap":
            one, two = part.read_bytes(), second.read_bytes()
            part.write_bytes(two)
            second.write_bytes(one)
        elif kind == "foreign":
            shutil.copy(other / "parts" / part.name, part)
        elif kind == "gone":
            part.unlink()
        else:
            part.write_bytes(DAMAGE[kind](part.read_bytes(), dice))
        code = forked(lambda out=out: study(out, "--resume"))
        tries.note(f"{kind} {number}: other bytes, {code}", code == 0 and tables(out) == wanted)
        tries.note(f"{kind} {number}: not as written", not check_written(out).differences)
        tries.note(f"{kind} {number}: left over", [p.name for p in here.iterdir()] == ["out"])
        shutil.rmtree(here)
    return tries


def damage_finished(top: Path, n_flips: int, n_mended: int) -> Tries:
    """Any single bit of a finished study is missed by `verify`; some of them are mended."""
    warm()
    dice, tries = random.Random(4), Tries()
    alone = made(top / "alone")
    wanted = tables(alone)
    names = [path for path in sorted(alone.rglob("*")) if path.is_file()]
    for number in range(n_flips):
        path = names[number % len(names)]
        name, content = path.relative_to(alone).as_posix(), path.read_bytes()
        path.write_bytes(flipped(content, dice))
        check = check_written(alone)
        if name == "manifest.json":
            # Where it no longer says that it is ours, it is not.
            tries.note(f"{name} {number}", check is None or check.changed == [name])
        else:
            tries.note(f"{name} {number}", check.changed == [name] and not check.extra)
        path.write_bytes(content)
    for number in range(n_mended):
        here = top / f"try{number}"
        here.mkdir()
        out = here / "out"
        shutil.copytree(alone, out)
        path = out / names[number % len(names)].relative_to(alone)
        path.write_bytes(flipped(path.read_bytes(), dice))
        code = forked(lambda out=out: study(out, "--resume"))
        if path.name == "study.json":
            tries.note(f"{path.name} {number}: gone on with", code == 2)
        else:
            same = code == 0 and tables(out) == wanted
            tries.note(f"{path.name} {number}: not mended, {code}", same)
            tries.note(f"{path.name} {number}: not as written", not check_written(out).differences)
        shutil.rmtree(here)
    return tries


CLASSES = {
    "kill a new run": lambda top: kill_replacing(top, foreign=False, in_one_step=True, there=False),
    "kill --force, swapped": lambda top: kill_replacing(top, foreign=False, in_one_step=True),
    "kill --force, file by file": lambda top: kill_replacing(top, foreign=True, in_one_step=True),
    "kill --force, no swap": lambda top: kill_replacing(top, foreign=True, in_one_step=False),
    "claims at once": lambda top: claim_at_once(top, 8, 60),
    "kill a new study": lambda top: kill_study(top, "new", 12),
    "kill a study with --force": lambda top: kill_study(top, "force", 6),
    "kill a study that grows": lambda top: kill_study(top, "grow", 6),
    "damage to a part": damage_parts,
    "resume with damaged parts": lambda top: resume_damaged(top, 10),
    "damage to a finished study": lambda top: damage_finished(top, 200, 5),
}

if __name__ == "__main__":
    # What is killed with kill -9 need not wait for the disk: the system goes on.
    os.fsync = lambda handle: None
    found = CLASSES[sys.argv[1]](Path(sys.argv[2]))
    print(json.dumps({"tried": found.tried, "failed": found.failed}))

"""An OpenDSS script read line by line: what of it is carried out, left out or refused.

The script is somebody's file. OpenDSS never sees it: it is given one command after another, those
that build a network, with all files found by us. What writes or runs something is refused.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from abm.errors import InputError, Problem, nearest
from abm.scenario.names import display
from abm.scenario.yamlio import limit_mb, read_bytes

# Commands that build the network, and what is done with them.
_BUILD = ("new", "edit", "batchedit", "open", "close", "enable", "disable")
_PASSED = ("setkvbase", "var")
_FILES = ("redirect", "compile")
_PLACES = ("buscoords", "latlongcoords", "giscoords")
_IGNORED = ("clear", "clearall", "calcvoltagebases", "solve", "makebuslist", "select")
_KNOWN = (*_BUILD, *_PASSED, *_FILES, *_PLACES, *_IGNORED, "set", "more")
# These say, draw or write what was solved, and leave the network as it is: they are passed over.
_REPORTS = (
    "show", "export", "save", "plot", "visualize", "dump", "fileedit", "di_plot", "comparecases",
    "yearlycurves", "closedi", "nodelist", "get", "currents", "powers", "voltages", "seqvoltages",
    "seqcurrents", "seqpowers", "losses", "phaselosses", "cktlosses", "varvalues", "varnames",
    "summary", "help", "about", "batchsave", "wait", "formedit", "panel", "zsc", "zsc10", "zsc012",
    "allpceatbus", "allpdeatbus", "pstcalc", "calcincmatrix", "calcincmatrix_o", "incmatrix",
    "buslevels", "refine_buslevels"
)  # fmt: skip
# These run programs, change folders, or change the network in a way of their own.
_REFUSED = frozenset((
    "shell", "cd", "doscmd", "cvrtloadshapes", "distribute", "rephase", "reduce", "dssim_coords",
    "uuids", "connect", "disconnect", "detach", "newactor", "clone", "cleanup", "solveall",
    "abort", "docontrolactions", "tear_circuit", "allocateloads", "estimate"
))  # fmt: skip
# Options that are a part of the network, or of how large its loads are, and the fewest letters by
# which OpenDSS knows them; all others say how it solves the network or writes.
_OPTIONS = {
    "defaultbasefrequency": 8, "voltagebases": 1, "earthmodel": 2, "allowduplicates": 2,
    "allocationfactors": 4, "longlinecorrection": 3, "loadmult": 6, "cktmodel": 2,
}  # fmt: skip
# Not part of a network: data of loads in time, meters, protection that is taken as closed.
_SERIES = {
    "loadshape": "npts=1 interval=1 mult=(1)",
    "growthshape": "npts=1 year=(1) mult=(1)",
    "spectrum": "numharm=1 harmonic=(1) %mag=(100) angle=(0)",
    "tcc_curve": "npts=1 c_array=(1) t_array=(1)",
}
_METERS = ("monitor", "energymeter", "sensor")
_PROTECTION = ("fuse", "relay", "recloser")
_DEPTH = 20
_MOST_COMMANDS = 2_000_000
_LATIN = "latin-1"

_WORD = re.compile(r"\s*([^\s=,(\[\"']+)\s*(=?)")
# A name between quotation marks may have blanks.
_ELEMENT = re.compile(
    r"\s*(?:object\s*=\s*)?(?P<quote>[\"'])?(?P<kind>[\w%-]+)\."
    r"(?P<name>(?(quote)[^\"']+|[^\s,\"'=]+))",
    re.IGNORECASE,
)
_PROPERTY = re.compile(r"([\w-]+)\.(.+)\.([\w%-]+)\s*=")
_SETTING = re.compile(r"([\w%]+)\s*=\s*(\[[^\]]*\]|\([^)]*\)|\{[^}]*\}|\"[^\"]*\"|'[^']*'|[^\s,]+)")


@dataclass(frozen=True)
class Command:
    """A command for OpenDSS. file, line: where it is written. element: "line.l1", or ""."""

    text: str
    file: str
    line: int
    element: str = ""


@dataclass
class Script:
    """A script and all that it redirects to.

    commands: in their order. places: file and line of each element, by "class.name". problems: what
    is refused. left_out: how many elements of each class are no part of the network. load_factor:
    of `set loadmult`. bus_places: x and y by the name of a bus, in lower case.
    skipping: whether a line that goes on with the last one is left out, too.
    """

    commands: list[Command] = field(default_factory=list)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    load_factor: float = 1.0
    bus_places: dict[str, tuple[float, float]] = field(default_factory=dict)
    skipping: bool = False

    def clear(self) -> None:
        """Forget the network so far, as `clear` does; frequency and variables stay."""
        kept = [one for one in self.commands if one.text.lower().startswith(("set default", "var"))]
        self.commands, self.places, self.bus_places = kept, {}, {}
        self.left_out.clear()
        self.load_factor = 1.0

    def refuse(self, command: Command, value: str, said: str, hint: str = "") -> None:
        """Note a problem with a command."""
        name = command.element or "command"
        self.problems.append(Problem(name, value[:80], said, command.file, command.line, hint))


def read_script(path: Path) -> Script:
    """Read a .dss or .dss.gz file. Raises InputError with everything in it that is refused."""
    script = Script()
    _read_file(script, path, display(path), ())
    circuits = [
        one
        for one in script.commands
        if one.element.startswith("circuit.") and one.text.startswith("new ")
    ]
    if not circuits and not script.problems:
        said = "an OpenDSS script with a circuit: new circuit.NAME"
        script.problems.append(Problem("file", "", said, display(path)))
    for more in circuits[1:]:
        script.refuse(more, more.text, f"one circuit; the first is on line {circuits[0].line}")
    if script.problems:
        raise InputError(script.problems)
    return script


def text_of(path: Path, shown: str) -> str:
    """Text of a file, unpacked where it is .gz. Raises InputError."""
    data = read_bytes(path, shown)
    if path.suffix.lower() == ".gz":
        most = int(limit_mb() * 2**20)
        try:
            unpacked = zlib.decompressobj(wbits=31)
            data = unpacked.decompress(data, most)
        except zlib.error as error:
            raise InputError([Problem("file", "", f"not a gzip file: {error}", shown)]) from None
        if unpacked.unconsumed_tail:
            raise InputError([Problem("file", "", f"at most {most >> 20} MB unpacked", shown)])
        if not unpacked.eof:
            raise InputError([Problem("file", "", "a gzip file that is whole", shown)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode(_LATIN)


def _read_file(script: Script, path: Path, shown: str, within: tuple[Path, ...]) -> None:
    try:
        text = text_of(path, shown)
    except InputError as error:
        script.problems += error.problems
        return
    text = re.sub(r"\0+(?=\r?\n|$)", "", text)  # at the ends of lines some editors leave them
    if "\0" in text:
        script.problems.append(Problem("file", "", "an OpenDSS script, which is text", shown))
        return
    commented = False
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.strip()
        if commented or said.startswith("/*"):
            commented = "*/" not in said
            continue
        said = _without_comment(said)
        if said:
            _read_command(script, Command(said, shown, number), path, (*within, path))
        if len(script.commands) > _MOST_COMMANDS or len(script.problems) >= 50:
            return


def _without_comment(line: str) -> str:
    """The line up to "!" or "//", where these are not between quotation marks."""
    if "!" not in line and "//" not in line:
        return line
    quote = ""
    for at, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "!" or line.startswith("//", at):
            return line[:at].rstrip()
    return line


def _read_command(script: Script, command: Command, path: Path, within: tuple[Path, ...]) -> None:
    text = command.text
    if text.startswith("~"):
        text = "more " + text[1:]
    word = _WORD.match(text)
    if word is None:
        script.refuse(command, text, "a command of OpenDSS")
        return
    verb, rest = _verb(word[1].lower()), text[word.end() :].strip()
    if word[2] == "=" or (verb not in _KNOWN and _PROPERTY.match(text)):
        _read_property(script, command, text)
    elif verb == "more":
        _go_on(script, command, rest)
    elif verb in _FILES:
        _follow(script, command, rest, path, within)
    elif verb in _PLACES:
        _read_places(script, command, rest, path)
    elif verb == "set":
        _set(script, command, rest)
    elif verb in _BUILD:
        _build(script, command, verb, rest)
    elif verb in _PASSED:
        _keep(script, command, text, "")
    elif verb in _IGNORED:
        script.skipping = True
        if verb.startswith("clear"):
            script.clear()
    elif verb in _REPORTS:
        script.left_out[f"command {verb}"] += 1
        script.skipping = True
    elif verb in _REFUSED:
        said = "no command that runs something or changes folders or the network: take the line out"
        script.refuse(command, text, said)
    else:
        script.refuse(command, text, "a command of OpenDSS that builds a network",
                      nearest(verb, _KNOWN))  # fmt: skip


def _verb(word: str) -> str:
    """The command that a word stands for; OpenDSS takes abbreviations."""
    if word in _KNOWN or word in _REPORTS or word in _REFUSED or len(word) < 3:
        return "more" if word == "m" else word
    full = [name for name in (*_KNOWN, *_REPORTS) if name.startswith(word)]
    clashes = any(name.startswith(word) for name in _REFUSED)
    return full[0] if full and not clashes else word


def _keep(script: Script, command: Command, text: str, element: str) -> None:
    script.skipping = False
    kept = Command(text, command.file, command.line, element)
    # Files are found by us, where the script says, and no class of a network needs one.
    if re.search(r"\b(csv|dbl|sng|pqcsv)?file\s*=", text, re.IGNORECASE):
        script.refuse(kept, text, "numbers in the script itself, not in another file")
        return
    if element.startswith("capacitor.") and re.search(r"\bcm\w*\s*=", text, re.IGNORECASE):
        # On a wrong size of this matrix OpenDSS ends the whole process.
        script.refuse(kept, text, "a capacitor by kv and kvar; cmatrix is not supported")
        return
    phases = re.search(r"\bph\w*\s*=\s*(\d+)", text, re.IGNORECASE)
    if element.startswith("load.") and phases is not None and int(phases[1]) not in (1, 2, 3):
        # OpenDSS may end on loads of more phases than their bus has nodes.
        script.refuse(kept, f"phases={phases[1]}", "a load of 1, 2 or 3 phases")
        return
    script.commands.append(kept)


def _build(script: Script, command: Command, verb: str, rest: str) -> None:
    """new, edit and the like of an element."""
    match = _ELEMENT.match(rest)
    if match is None:
        script.refuse(command, command.text, f"{verb} CLASS.NAME ...")
        return
    kind = match["kind"].lower()
    element = f"{kind}.{match['name']}".lower()
    if kind in _SERIES and verb == "new":
        script.commands.append(
            Command(f"new {element} {_SERIES[kind]}", command.file, command.line, element)
        )
        script.skipping = True
        return
    if kind in (*_SERIES, *_METERS, *_PROTECTION):
        script.skipping = True
        if verb == "new" and kind not in _SERIES:
            script.left_out[kind] += 1
        return
    if verb == "new":
        script.places.setdefault(element, (command.file, command.line))
        if kind == "circuit":  # which brings its source
            script.places["vsource.source"] = (command.file, command.line)
    elif verb != "batchedit" and not _known(script, command, element):
        return
    _keep(script, command, f"{verb} {rest}", element)


def _known(script: Script, command: Command, element: str) -> bool:
    """Whether an element is there already; OpenDSS itself may crash where it is not."""
    if element in script.places or element == "vsource.source":
        return True
    said = "an element that is there already: new CLASS.NAME above it"
    script.refuse(command, element, said, nearest(element, list(script.places)))
    return False


def _go_on(script: Script, command: Command, rest: str) -> None:
    """More properties of the last element."""
    if not script.skipping:
        element = script.commands[-1].element if script.commands else ""
        _keep(script, command, f"more {rest}", element)


def _read_property(script: Script, command: Command, text: str) -> None:
    """Line.l1.r1=0.3, the short form of edit; phases=3 is one of the last element."""
    match = _PROPERTY.match(text)
    if match is None:
        _go_on(script, command, text)
        return
    kind, element = match[1].lower(), f"{match[1]}.{match[2]}".lower()
    if kind in (*_SERIES, *_METERS, *_PROTECTION):
        script.skipping = True
        return
    if _known(script, command, element):
        _keep(script, command, f"edit {element} {match[3]}={text[match.end() :]}", element)


def _set(script: Script, command: Command, rest: str) -> None:
    script.skipping = True
    for match in _SETTING.finditer(rest):
        option, value = _option(match[1].lower()), match[2].strip("\"'")
        if option == "loadmult":
            try:
                script.load_factor = float(value)
            except ValueError:
                script.refuse(command, value, "a number, the factor on all loads")
        elif option == "cktmodel":
            if value.lower().startswith("p"):
                script.refuse(command, value, "a circuit of three phases (multiphase)")
        elif option in _OPTIONS:
            script.commands.append(Command(f"set {option}={match[2]}", command.file, command.line))


def _option(word: str) -> str:
    """The option of `_OPTIONS` that a word stands for, else the word."""
    for name, letters in _OPTIONS.items():
        if len(word) >= letters and name.startswith(word):
            return name
    return word


def _follow(
    script: Script, command: Command, rest: str, path: Path, within: tuple[Path, ...]
) -> None:
    """A script that this one goes on with."""
    found = _file(path, rest)
    if found is None:
        script.refuse(command, rest, "a file; there is none of this name")
    elif len(within) >= _DEPTH or found.resolve() in [one.resolve() for one in within]:
        script.refuse(command, rest, "no script that is being read already")
    else:
        _read_file(script, found, display(found), within)
    script.skipping = True


def _file(path: Path, rest: str) -> Path | None:
    """The file that a command names, from the folder of its script; letters of any case."""
    name = re.sub(r"^file\s*=\s*", "", rest.strip(), flags=re.IGNORECASE)
    name = name.strip("\"'()[]{}").strip().replace("\\", "/")
    if not name:
        return None
    found = path.parent / name
    if found.is_file():
        return found
    here = Path(path.parent)
    for part in Path(name).parts:
        if part in ("/", "..", "."):
            here = here / part
            continue
        try:
            same = sorted(one for one in here.iterdir() if one.name.lower() == part.lower())
        except OSError:
            return None
        if not same:
            return None
        here = same[0]
    return here if here.is_file() else None


def _read_places(script: Script, command: Command, rest: str, path: Path) -> None:
    """A file of coordinates: bus, x, y by line."""
    script.skipping = True
    found = _file(path, rest)
    if found is None:
        script.refuse(command, rest, "a file of coordinates; there is none of this name")
        return
    swapped = not command.text.lower().startswith("b")
    for line in text_of(found, display(found)).splitlines():
        cells = re.split(r"[\s,;]+", _without_comment(line.strip()).replace('"', ""))
        try:
            x, y = float(cells[1]), float(cells[2])
        except (IndexError, ValueError):
            continue  # a title, or no place
        script.bus_places[cells[0].lower()] = (y, x) if swapped else (x, y)

"""MATPOWER cases: a file of tables, and the few statements that its distribution cases end with.

Those give loads in kW and impedances in ohm, and convert them in code. The statements are read and
carried out here, or the file is refused with the line: nothing is taken for MW that is not.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from abm.equations import FloatArray
from abm.errors import InputError, Problem
from abm.scenario.feeder_table import MOST_BUSES
from abm.scenario.names import display
from abm.scenario.yamlio import read_text, show

# Columns in the order of MATPOWER's idx_bus, idx_brch and idx_gen, from 1.
_COLUMNS = {
    "bus": "BUS_I BUS_TYPE PD QD GS BS BUS_AREA VM VA BASE_KV ZONE VMAX VMIN LAM_P LAM_Q MU_VMAX "
    "MU_VMIN",
    "branch": "F_BUS T_BUS BR_R BR_X BR_B RATE_A RATE_B RATE_C TAP SHIFT BR_STATUS ANGMIN ANGMAX "
    "PF QF PT QT MU_SF MU_ST MU_ANGMIN MU_ANGMAX",
    "gen": "GEN_BUS PG QG QMAX QMIN VG MBASE GEN_STATUS PMAX PMIN PC1 PC2 QC1MIN QC1MAX QC2MIN "
    "QC2MAX RAMP_AGC RAMP_10 RAMP_30 RAMP_Q APF MU_PMAX MU_PMIN MU_QMAX MU_QMIN",
}
_NAMES: dict[str, float] = {"PQ": 1.0, "PV": 2.0, "REF": 3.0, "NONE": 4.0, "pi": float(np.pi)} | {
    name: float(number)
    for names in _COLUMNS.values()
    for number, name in enumerate(names.split(), start=1)
}
_LEAST = {"bus": 13, "branch": 11, "gen": 10}
_PD, _TAP, _STATUS = 2, 8, 10

_HEAD = re.compile(r"function\s+(\w+)\s*=")
_INDICES = re.compile(r"\[[\w\s,]*\]\s*=\s*idx_(bus|brch|gen)|define_constants")
# Columns of a table: PD, [PD QD], 3:4.
_WHICH = r"(\[[\w\s,:]*\]|\w+(?:\s*:\s*\w+)?)"
_ASSIGNED = re.compile(rf"([\w.]+)\s*(\(\s*:\s*,\s*{_WHICH}\s*\))?\s*=(?!=)\s*(.*)", re.S)
_PART = rf"\b%s\.(bus|branch|gen)\s*\(\s*(:|\d+)\s*,\s*{_WHICH}\s*\)"
_KW = re.compile(r"(?=.*\bk(W|VAr?)\b)(?=.*\b(Pd|Qd|loads?|PD|QD)\b)")
_OHM = re.compile(r"(?=.*\bohms?\b)(?=.*\b(r|x|branch|impedances?)\b)", re.I)
_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.MatMult: operator.mul,
    ast.FloorDiv: operator.truediv,
}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sqrt": np.sqrt,
    "abs": np.abs,
}
# Ways in which a statement is none that is known, all with one answer: what is not in the case,
# shapes that do not fit, no number, 1 / 0, what Python cannot parse or nests too deeply.
_NOT_OURS = (ArithmeticError, LookupError, RecursionError, SyntaxError, TypeError, ValueError)


def read_case(path: Path) -> Any:
    """Pandapower net of a MATPOWER case of version 2, a .m or a .mat file.

    A bus has the number of the case, less 1, as its index. Raises InputError.
    """
    file = display(path)
    case = _Case(file).read(path) if path.suffix.lower() == ".m" else _saved(path, file)
    problems = list(_shape_problems(case, file))
    if problems:
        raise InputError(problems)
    return _net_of(case, file)


class _Case:
    """A case being read: what its statements have set so far."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.fields: dict[str, Any] = {}
        self.names = dict(_NAMES)
        self.of = "mpc"
        self.changed: set[tuple[str, int]] = set()

    def read(self, path: Path) -> dict[str, Any]:
        """Carry out all statements. Raises InputError with the first line that is not known."""
        comments: list[tuple[int, str]] = []
        for line, statement in _statements(read_text(path, self.file), comments):
            if statement.startswith("function"):
                head = _HEAD.match(statement)
                if self.fields:  # a function below the case, which only it could call
                    break
                self.of = head[1] if head else self.of
            elif not _INDICES.fullmatch(statement) and statement not in ("return", "end"):
                self._carry_out(line, statement)
        self._check_units(comments)
        return self.fields

    def _refuse(self, line: int, shown: str, said: str) -> InputError:
        return InputError([Problem("MATPOWER", show(shown), said, self.file, line)])

    def _carry_out(self, line: int, statement: str) -> None:
        match = _ASSIGNED.fullmatch(statement)
        target = match[1].removeprefix(f"{self.of}.") if match else ""
        field = match is not None and match[1].startswith(f"{self.of}.")
        try:
            if match is None or "." in target:
                raise ValueError
            if match[2] is not None:
                if not field or target not in _LEAST:
                    raise ValueError
                columns = self._columns(match[3])
                self.fields[target][:, columns] = self._value(match[4])
                self.changed |= {(target, column) for column in columns}
            elif field and target in _LEAST and match[4].startswith("["):
                self.fields[target] = self._matrix(match[4])
            elif field and match[4][:1] in ("[", "{", "'", '"'):
                self.fields[target] = re.findall(r"'([^']*)'", match[4])
            elif field:
                self.fields[target] = self._value(match[4])
            else:
                self.names[target] = self._value(match[4])
        except _NOT_OURS as error:
            why = f" ({error})" if str(error) else ""
            said = (
                "tables, and statements that convert whole columns of them; this one is not known "
                f"here{why}. MATPOWER's savecase writes the case as numbers"
            )
            raise self._refuse(line, statement, said) from None

    def _matrix(self, text: str) -> FloatArray:
        rows = [row.replace(",", " ").split() for row in text.strip("[] \n\t").split(";")]
        return np.array([[self._number(cell) for cell in row] for row in rows if row], np.float64)

    def _number(self, cell: str) -> float:
        try:
            return float(cell)
        except ValueError:
            return float(self._value(cell))

    def _columns(self, text: str) -> list[int]:
        found: list[int] = []
        for name in re.sub(r"\s*:\s*", ":", text.strip("[] ").replace(",", " ")).split():
            ends = [self._number(end) for end in name.split(":")]
            if len(ends) > 2 or any(not end.is_integer() or end < 1 for end in ends):
                raise ValueError(f"{text}: columns")
            found += range(int(ends[0]) - 1, int(ends[-1]))
        if not found:
            raise ValueError(f"{text}: columns")
        return found

    def _value(self, text: str) -> Any:
        """Value of an expression of numbers, names and whole columns: + - * / ^ and functions."""
        parts: dict[str, Any] = {}

        def part(match: re.Match[str]) -> str:
            columns = self._columns(match[3])
            table = self.fields[match[1]]
            values = table[:, columns] if match[2] == ":" else table[int(match[2]) - 1, columns]
            parts[f"part_{len(parts)}"] = values if values.size > 1 else float(values.item())
            return f"part_{len(parts) - 1}"

        def scalar(match: re.Match[str]) -> str:
            parts[f"part_{len(parts)}"] = self.fields[match[1]]
            return f"part_{len(parts) - 1}"

        text = re.sub(_PART % re.escape(self.of), part, text)
        text = re.sub(rf"\b{re.escape(self.of)}\.(\w+)\b(?!\s*\()", scalar, text)
        # Element by element, where there are two columns.
        text = text.replace(".*", "@").replace("./", "//").replace(".^", "**").replace("^", "**")
        return _evaluated(ast.parse(text.strip(), mode="eval").body, self.names | parts)

    def _check_units(self, comments: list[tuple[int, str]]) -> None:
        """Refuse a file that says kW or ohm of a table that nothing converts."""
        for pattern, table, column, unit in (
            (_KW, "bus", _PD, "loads in kW"),
            (_OHM, "branch", 2, "impedances in ohm"),
        ):
            said = [line for line, text in comments if pattern.search(text)]
            if said and (table, column) not in self.changed:
                allowed = (
                    f"a statement that converts {table}, as this comment speaks of {unit}; take "
                    "the comment out if the numbers are in MW and p.u. already"
                )
                raise self._refuse(said[0], unit, allowed)


def _evaluated(node: ast.expr, names: dict[str, Any]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluated(operand, names)
        case ast.BinOp(left=left, op=kind, right=right) if type(kind) in _OPERATIONS:
            one, other = _evaluated(left, names), _evaluated(right, names)
            whole = np.ndim(one) > 0 and np.ndim(other) > 0
            if whole and isinstance(kind, ast.Mult | ast.Div | ast.Pow):
                raise ValueError("a product of matrices")
            return _OPERATIONS[type(kind)](one, other)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](_evaluated(argument, names))
    raise ValueError(f"{ast.unparse(node)}: not known")


def _statements(text: str, comments: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Statements with the line on which they begin; a row of a matrix ends with a semicolon."""
    held, begun, depth, block = "", 0, 0, False
    for number, raw in enumerate(text.splitlines(), start=1):
        if raw.strip() in ("%{", "%}"):
            block = raw.strip() == "%{"
            continue
        code, comment = ("", raw) if block else _cut(raw)
        if comment:
            comments.append((number, comment))
        code, goes_on = re.subn(r"\.\.\..*", " ", code)
        for piece in re.split(r"([\[\](){};])", code):
            if not held.strip():
                held, begun = "", number
            depth += (piece in ("[", "(", "{")) - (piece in ("]", ")", "}"))
            if piece == ";" and depth == 0:
                if held.strip():
                    yield begun, held.strip()
                held = ""
            else:
                held += piece
        if depth > 0:
            held += " " if goes_on else ";"
        elif not goes_on:
            if held.strip():
                yield begun, held.strip()
            held = ""
    if held.strip():
        yield begun, held.strip()


def _cut(line: str) -> tuple[str, str]:
    """Code and comment of a line; a percent sign within quotes is neither."""
    quoted = False
    for at, character in enumerate(line):
        before = line[at - 1] if at else " "
        if character == "'" and (quoted or not (before.isalnum() or before in ")]'")):
            quoted = not quoted
        elif character == "%" and not quoted:
            return line[:at], line[at + 1 :]
    return line, ""


def _saved(path: Path, file: str) -> dict[str, Any]:
    """The case in a .mat file: the variable mpc, or the only structure with its tables."""
    from scipy.io import loadmat

    try:
        found = loadmat(path, squeeze_me=True, struct_as_record=False)
    except Exception as error:  # a file that is cut off ends in IndexError, version 7.3 in others
        said = f"a MATLAB file of version 7 or before ({' '.join(str(error).split())[:120]})"
        raise InputError([Problem("file", "", said, file)]) from None
    cases = {
        name: value
        for name, value in found.items()
        if all(hasattr(value, key) for key in ("baseMVA", *_LEAST))
    }
    if "mpc" not in cases and len(cases) != 1:
        said = "a structure mpc with baseMVA, bus, branch and gen"
        raise InputError([Problem("mpc", ", ".join(cases), said, file)])
    case = cases.get("mpc", next(iter(cases.values())))
    try:
        tables = {key: np.atleast_2d(np.asarray(getattr(case, key), np.float64)) for key in _LEAST}
        base = float(case.baseMVA)
    except (TypeError, ValueError) as error:
        said = f"a structure mpc of numbers ({error})"
        raise InputError([Problem("mpc", "", said, file)]) from None
    names = [str(name) for name in np.ravel(getattr(case, "bus_name", []))]
    return {"baseMVA": base, "bus_name": names, **tables}


def _shape_problems(case: dict[str, Any], file: str) -> Iterator[Problem]:
    for name in ("baseMVA", *_LEAST):
        if name not in case:
            yield Problem(f"mpc.{name}", "", "missing", file)
    for name, least in _LEAST.items():
        table = case.get(name)
        if table is None:
            continue
        if not isinstance(table, np.ndarray) or table.ndim != 2 or table.shape[1] < least:
            found = f"{list(np.shape(table))}"
            yield Problem(f"mpc.{name}", found, f"rows of at least {least} numbers", file)
    base = case.get("baseMVA")
    if base is not None and not (isinstance(base, float) and 0.0 < base < np.inf):
        yield Problem("mpc.baseMVA", show(base), "a number of MVA above 0", file)
    bus = case.get("bus")
    if isinstance(bus, np.ndarray) and bus.ndim == 2 and bus.shape[1] >= _LEAST["bus"]:
        numbers = bus[:, 0]
        for row in np.flatnonzero((numbers < 1) | (numbers > MOST_BUSES) | (numbers % 1 != 0)):
            said = f"a whole number from 1 to {MOST_BUSES}"
            yield Problem(f"mpc.bus, row {row + 1}, BUS_I", f"{numbers[row]:g}", said, file)
        for table, columns in (("branch", (0, 1)), ("gen", (0,))):
            ends = case.get(table)
            if isinstance(ends, np.ndarray) and ends.ndim == 2 and ends.shape[1] > 1:
                for row, column in np.argwhere(~np.isin(ends[:, columns], numbers)):
                    value = f"{ends[row, columns[column]]:g}"
                    name = _COLUMNS[table].split()[columns[column]]
                    yield Problem(f"mpc.{table}, row {row + 1}, {name}", value, "a bus", file)


def _net_of(case: dict[str, Any], file: str) -> Any:
    from pandapower.converter.pypower import from_ppc

    tables = {name: case[name].copy() for name in _LEAST}
    for name, columns in (("bus", (0,)), ("branch", (0, 1)), ("gen", (0,))):
        tables[name][:, columns] -= 1
    width = len(_COLUMNS["gen"].split())
    missing = np.zeros((len(tables["gen"]), max(0, width - tables["gen"].shape[1])))
    tables["gen"] = np.hstack([tables["gen"], missing])
    tap = tables["branch"][:, _TAP]
    tap[tap == 0.0] = 1.0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas finds fault with how it fills its tables
            net = from_ppc({"baseMVA": case["baseMVA"], **tables}, f_hz=50)
    except Exception as error:  # it lets through whatever its tables raise
        said = f"a case that pandapower can convert ({type(error).__name__}: {error})"
        raise InputError([Problem("MATPOWER", "", said[:300], file)]) from error
    # pandapower leaves this out where a branch joins two voltages without a ratio.
    of = net._from_ppc_lookups["branch"]
    joins = np.flatnonzero((of["element_type"] == "impedance").to_numpy())
    serving = tables["branch"][joins, _STATUS].astype(bool)
    net.impedance.loc[of["element"].iloc[joins].astype(np.int64), "in_service"] = serving
    names = case.get("bus_name") or []
    if len(names) == len(net.bus):
        net.bus["name"] = np.asarray(names, dtype=object)
    else:
        net.bus["name"] = None
    return net

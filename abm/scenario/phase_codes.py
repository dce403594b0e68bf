"""Linecodes: impedances of a kind of line, by sequence or as a matrix, made those of lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abm.scenario.csvio import Table
from abm.scenario.phase_table import SEQUENCE, TRIANGLE, HomeRow, LinecodeRow, PhaseLineRow
from abm.scenario.phase_values import PHASES

ComplexArray = NDArray[np.complex128]

# So far a matrix may be from one that has no inverse.
_CONDITION = 1e10
# No conductor has as little in an ohm per km; in an ohm per m all of them have.
_LEAST_OHM_PER_KM = 0.003


@dataclass(frozen=True, eq=False)
class Linecodes:
    """The linecodes of a feeder that are right, K in all.

    at: position by name. conductors: of a code by matrix how many it has, 3 for one by sequence,
    which goes with any number of phases: any_phases. z_ohm_per_km, y_s_per_km: complex128
    [K, 3, 3], 0 where there is no conductor. ampacity_a: float64 [K], NaN where not known. names:
    all that are in the file, right or not.
    """

    at: dict[str, int]
    conductors: tuple[int, ...]
    any_phases: tuple[bool, ...]
    z_ohm_per_km: ComplexArray
    y_s_per_km: ComplexArray
    ampacity_a: NDArray[np.float64]
    names: frozenset[str]

    def of_lines(
        self, rows: Sequence[PhaseLineRow]
    ) -> tuple[ComplexArray, ComplexArray, NDArray[np.float64]]:
        """Of each line series impedance, ohm, shunt admittance, S, (L, 3, 3) each, ampacity, A."""
        codes = np.array([self.at[row.linecode or ""] for row in rows], dtype=np.int64)
        km = 1e-3 * np.array([row.length_m for row in rows], dtype=np.float64)
        there = phases_of(rows)
        # Position of each phase among those of its line.
        conductor = np.cumsum(there, axis=1) - 1
        pick = (codes[:, None, None], conductor[:, :, None], conductor[:, None, :])
        both = there[:, :, None] & there[:, None, :]
        km = np.where(both, km[:, None, None], 0.0)
        z: ComplexArray = self.z_ohm_per_km[pick] * km
        y: ComplexArray = self.y_s_per_km[pick] * km
        return z, y, self.ampacity_a[codes]


def phases_of(rows: Iterable[PhaseLineRow | HomeRow]) -> NDArray[np.bool_]:
    """Which phases each row has, bool [n, 3]."""
    found = [[letter in (row.phases or "") for letter in PHASES] for row in rows]
    return np.array(found, dtype=np.bool_).reshape(-1, 3)


def linecodes_of(table: Table[LinecodeRow]) -> Linecodes:
    """The codes of linecodes.csv; what is wrong with a row is noted."""
    refused = {problem.line for problem in table.problems}
    names = [row.linecode for row in table.rows]
    first = table.each_once("linecode", names, "each name once; it is on line {} already")
    good: list[tuple[str, int, bool, ComplexArray, ComplexArray, float]] = []
    for at, row in enumerate(table.rows):
        if row.linecode is None or table.lines[at] in refused or first[row.linecode] != at:
            continue
        rated = np.nan if row.ampacity_a is None else row.ampacity_a
        kinds = [name for name in SEQUENCE if getattr(row, name) is not None]
        entries = [f"{part}_{place}" for part in "rx" for place in TRIANGLE]
        entries = [name for name in entries if getattr(row, name) is not None]
        if kinds and entries:
            table.refuse(at, entries[0], "empty: the code has sequence impedances")
        elif kinds:
            if (made := _by_sequence(table, at, row)) is not None:
                good.append((row.linecode, 3, True, *made, rated))
        elif entries:
            if (matrix := _by_matrix(table, at, row)) is not None:
                good.append((row.linecode, matrix[0], False, *matrix[1:], rated))
        else:
            said = "with impedances: r1, x1, r0 and x0, or r_aa, x_aa and so on"
            table.refuse(at, "linecode", said)
    codes = Linecodes(
        {code[0]: at for at, code in enumerate(good)},
        tuple(code[1] for code in good),
        tuple(code[2] for code in good),
        np.array([code[3] for code in good], dtype=np.complex128).reshape(-1, 3, 3),
        np.array([code[4] for code in good], dtype=np.complex128).reshape(-1, 3, 3),
        np.array([code[5] for code in good], dtype=np.float64),
        frozenset(first),
    )
    largest = float(np.abs(codes.z_ohm_per_km).max(initial=0.0))
    if good and not table.problems and largest < _LEAST_OHM_PER_KM:
        said = f"ohm per km; the largest of all is {largest:.3g}: are they ohm per m?"
        column = SEQUENCE[0] if table.rows[0].r1_ohm_per_km is not None else "r_aa"
        table.refuse(0, column, said)
    return codes


def _by_sequence(
    table: Table[LinecodeRow], at: int, row: LinecodeRow
) -> tuple[ComplexArray, ComplexArray] | None:
    """Matrices of a symmetric line of three conductors: z per km in ohm, y in S."""
    missing = [name for name in SEQUENCE if getattr(row, name) is None]
    for name in missing:
        table.note(table.lines[at], name, "", "missing; all of r1, x1, r0 and x0")
    if missing:
        return None
    r1, x1, r0, x0 = (float(getattr(row, name)) for name in SEQUENCE)
    for r, x, column in ((r1, x1, SEQUENCE[0]), (r0, x0, SEQUENCE[2])):
        if r == 0.0 and x == 0.0:
            which = column.split("_")[0][1]
            said = f"an impedance: r{which} and x{which} are both 0; join the buses of a busbar"
            table.refuse(at, column, said)
            return None
    b1, b0 = (1e-6 * (b or 0.0) for b in (row.b1_us_per_km, row.b0_us_per_km))
    return _circulant(complex(r1, x1), complex(r0, x0)), _circulant(1j * b1, 1j * b0)


def _circulant(positive: complex, zero: complex) -> ComplexArray:
    own, mutual = (2.0 * positive + zero) / 3.0, (zero - positive) / 3.0
    matrix = np.full((3, 3), mutual, dtype=np.complex128)
    np.fill_diagonal(matrix, own)
    return matrix


def _by_matrix(
    table: Table[LinecodeRow], at: int, row: LinecodeRow
) -> tuple[int, ComplexArray, ComplexArray] | None:
    """Number of conductors and their matrices: z per km in ohm, y in S."""
    given = [place for place in TRIANGLE if _any(row, place)]
    n = 1 + max("abc".index(place[0]) for place in given)
    places = [place for place in TRIANGLE if "abc".index(place[0]) < n]
    z, y = np.zeros((3, 3), dtype=np.complex128), np.zeros((3, 3), dtype=np.complex128)
    missing = False
    for place in places:
        one, other = ("abc".index(letter) for letter in place)
        r, x = getattr(row, f"r_{place}"), getattr(row, f"x_{place}")
        for name, cell in ((f"r_{place}", r), (f"x_{place}", x)):
            if cell is None:
                said = f"missing; the lower triangles of r and x of {n} conductors"
                table.note(table.lines[at], name, "", said)
                missing = True
        if not missing:
            z[one, other] = z[other, one] = complex(r, x)
        b = getattr(row, f"b_{place}")
        y[one, other] = y[other, one] = 1e-6j * (0.0 if b is None else b)
    if missing:
        return None
    if not z[:n, :n].any() or np.linalg.cond(z[:n, :n]) > _CONDITION:
        said = f"an impedance matrix that has an inverse; this of {n} conductors has none"
        table.refuse(at, "linecode", said)
        return None
    return n, z, y


def _any(row: LinecodeRow, place: str) -> bool:
    return any(getattr(row, f"{part}_{place}") is not None for part in "rxb")

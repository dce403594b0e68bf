"""Small errors made on purpose, one by one, each of which a test has to notice.

    python tests/mutants.py              # all of them
    python tests/mutants.py eta v2g      # those with one of these words in their name
    python tests/mutants.py --list

Each is made in a copy of the package; the test named beside it has to pass there before and to fail
after. An error whose text is no longer in the package is itself reported: write the new text here.
Not part of pytest: a few minutes, since what numba compiles is compiled anew.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BY_HAND = "tests/oracle/test_by_hand.py"
MPC = "tests/unit/test_mpc.py"
SIGN_ALONE = "    if True:\n        return np.sign(answer).astype(np.int8), None\n"
COPIED = ("abm", "scenarios", "tests", "pyproject.toml", "run.py")


@dataclass(frozen=True)
class Mutant:
    """An error. edits: text of the package and what is put in its place, wherever it stands."""

    name: str
    edits: tuple[tuple[str, str], ...]
    test: str


MUTANTS = (
    Mutant(
        "a cycle is closed by what went before it alone",
        ((" & (inner <= np.abs(d - c))", ""),),
        "tests/oracle/test_ageing.py::test_counting_as_the_library_does",
    ),
    Mutant(
        "the compiled hour does not see an EV turn",
        (("    if way * ev.direction[row] < 0:\n", "    if way * ev.direction[row] < -1:\n"),),
        "tests/oracle/test_ageing.py::test_an_ev_that_comes_again_has_one_battery",
    ),
    Mutant(
        "the mean SoC leaves out what changes within stays",
        ((".sum(axis=0) - moment\n", ".sum(axis=0)\n"),),
        "tests/oracle/test_ageing.py::test_a_run_counts_as_the_library_does_minute_by_minute",
    ),
    Mutant(
        "what is sold pays no grid fee",
        (("fleet.sale_usd -= taken", "fleet.sale_usd -= 0.0 * taken"),),
        "tests/oracle/test_tariffs.py::test_a_grid_fee_in_a_window_on_either_direction",
    ),
    Mutant(
        "a rate of tax leaves the grid fee out",
        (("rate * (alpha + fee_buy + levy)", "rate * (alpha + levy)"),),
        "tests/oracle/test_tariffs.py::test_a_tax_on_one_direction",
    ),
    Mutant(
        "energy is booked at the price of the step before",
        (("at = now_s // step_s - 1", "at = max(now_s // step_s - 2, 0)"),),
        "tests/oracle/test_tariffs.py::test_prices_by_the_quarter_of_an_hour",
    ),
    Mutant(
        "who was not there pays for the peak of a zone",
        (("share = np.divide(drew, of_all", "share = np.divide(1.0 + drew, of_all"),),
        "tests/oracle/test_tariffs.py::test_who_was_not_there_pays_nothing_for_the_peak_of_a_zone",
    ),
    Mutant(
        "energy that a session asks for is taken for energy in the battery",
        (('"capacity_kwh": energy_kwh * efficiency,', '"capacity_kwh": energy_kwh,'),),
        "tests/unit/test_energy_sessions.py::test_by_hand",
    ),
    Mutant(
        "what is missing of an energy is that in the battery",
        (("missing = charging_energy(missing, ", "missing = np.multiply(missing, "),),
        "tests/unit/test_energy_sessions.py::test_by_hand",
    ),
    Mutant(
        "an EV that comes again is another one",
        (("numbers.setdefault(key, len", "numbers.setdefault(len(numbers), len"),),
        "tests/unit/test_energy_sessions.py::test_indicators_by_ev_count_an_ev_that_comes_again_once",
    ),
    Mutant(
        "the second of two hours of a clock is taken for the first",
        (("        chosen = np.where(first <= rows[\"arrival\"][at], second, first)\n", ""),),
        "tests/unit/test_sessions_import.py::test_the_hour_left_out_and_the_hour_that_comes_twice",
    ),
    Mutant(
        "who is still plugged in comes again",
        ((" & (arrival[:, :, date] >= busy)", ""),),
        "tests/property/test_measured_stays.py::test_nobody_comes_who_is_plugged_in_and_nobody_asks_for_too_much",
    ),
    Mutant(
        "an empirical copula leaves out the steps that a session reaches into",
        (("np.where(cut > first, (cut - low) / (high - low), 1.0)", "np.ones_like(low)"),),
        "tests/unit/test_sessions_fit.py::test_a_copula_has_even_steps_and_keeps_the_order",
    ),
    Mutant(
        "kW of a MATPOWER case are taken for MW",
        (("self.fields[target][:, columns] = self._value(match[4])", "self._value(match[4])"),),
        "tests/oracle/test_imported_feeders.py::test_kw_and_ohm_are_converted_as_the_case_says",
    ),
    Mutant(
        "generation of a feeder takes power",
        (("-given.p_mw[order][None, :]", "given.p_mw[order][None, :]"),),
        "tests/unit/test_feeder_import.py::"
        "test_generation_follows_its_own_column_and_names_are_in_the_tables",
    ),
    Mutant(
        "an exchange of lines that gains is not made",
        (("if least < loss * (1.0 - _GAIN):", "if least < 0.0:"),),
        "tests/oracle/test_reconfigure.py::test_the_33_bus_feeder_has_its_published_optimum",
    ),
    Mutant(
        "a battery loses nothing when it discharges",
        (("charge_kw - discharge_kw / efficiency) * hours", "charge_kw - discharge_kw) * hours"),),
        "tests/unit/test_supply.py::test_a_day_of_one_zone_by_hand",
    ),
    Mutant(
        "PV is not in what is broadcast",
        ((" - self._pv_mw(begin_s, window_s)", ""),),
        "tests/unit/test_supply.py::test_what_is_broadcast_counts_pv_and_battery",
    ),
    Mutant(
        "the compiled hour keeps what a zone took in the hour before",
        (("        self.net_kw[:] = 0.0\n", ""),),
        "tests/unit/test_supply.py::test_both_engines_leave_the_same_supply",
    ),
    Mutant(
        "PV that was curtailed too much is not given back",
        (("np.maximum(wanted, 0.0), pv", "np.maximum(wanted, found[:, zone]), pv"),),
        "tests/unit/test_supply.py::test_no_more_is_curtailed_than_the_limit_asks_for",
    ),
    Mutant(
        "V2G supplies reactive power where G2V takes it",
        (("_mw[here] = charge + discharge", "_mw[here] = charge - discharge"),),
        "tests/unit/test_reactive.py::test_both_ways_take_by_the_power_factor",
    ),
    Mutant(
        "a taper is forgotten in the step that it begins in",
        (("np.minimum(hours, flat_kwh / np.maximum(power_kw, TINY_KW))", "hours"),),
        "tests/unit/test_chargers.py::test_a_battery_takes_less_power_near_full",
    ),
    Mutant(
        "a charger is kept in its mode for a step too few",
        (("held_min[switched] = least", "held_min[switched] = least - 60.0 * self.step_h"),),
        "tests/unit/test_chargers.py::test_a_charger_stays_on_and_off_for_its_least_time",
    ),
    Mutant(
        "an EV out of slack charges with what its rule asks for",
        (("np.where(full, fleet.p_max_kw, np.where(", "np.where(full, power, np.where("),),
        "tests/unit/test_answers.py::"
        "test_who_is_out_of_slack_has_its_rating_though_it_asked_for_less",
    ),
    Mutant(
        "a float counts as a mode by its sign",
        (("    if answer.dtype == np.int8:\n        return answer, None\n", SIGN_ALONE),),
        "tests/unit/test_answers.py::test_a_float_is_a_power_and_an_integer_a_mode",
    ),
    Mutant(
        "eta^2 -> eta in what V2G puts back, guaranteed",
        (("discharged / (efficiency**2 * charging)", "discharged / (efficiency * charging)"),),
        f"{BY_HAND}::test_guaranteed_v2g_puts_back_with_the_losses_of_both_ways",
    ),
    Mutant(
        "eta^2 -> eta in what V2G puts back, coordinated",
        (("discharged / (efficiency**2 * charging)", "discharged / (efficiency * charging)"),),
        f"{BY_HAND}::test_coordinated_v2g_puts_back_with_the_losses_of_both_ways",
    ),
    Mutant(
        "eta^2 -> eta in what V2G puts back, mpc",
        (("discharged / (efficiency**2 * charging)", "discharged / (efficiency * charging)"),),
        f"{MPC}::test_who_knows_all_there_is_to_know_reaches_the_bound",
    ),
    Mutant(
        "mpc leaves who has no slack to its plan",
        (("np.where(must, fleet.p_max_kw, 0.0)", "np.zeros(fleet.n)"),),
        f"{MPC}::test_who_comes_within_an_interval_waits_unless_there_is_no_slack",
    ),
    Mutant(
        "mpc plans as if boosting owners waited",
        (("np.where(at_once, ceiling, floor)", "floor"),),
        f"{MPC}::test_who_charges_whatever_is_asked_is_planned_around",
    ),
    Mutant(
        "the bound ignores v2g of non-participants",
        (
            (
                "np.where(fleet.v2g[ev], fleet.p_discharge_kw[ev], 0.0)",
                "fleet.p_discharge_kw[ev]",
            ),
        ),
        f"{BY_HAND}::test_the_bound_takes_nothing_from_who_stays_out_of_v2g",
    ),
    Mutant(
        "lowest voltage of those hours that converged",
        (("lowest.min(axis=0)", "np.nanmin(lowest, axis=0)"),),
        "tests/unit/test_flows.py::test_the_worst_of_what_is_not_all_known_is_missing",
    ),
    Mutant(
        "linear base load through the beginnings of the hours",
        (("since_middle = at_s - self.step_s / 2.0", "since_middle = at_s - 0.0"),),
        "tests/unit/test_flows.py::test_linear_by_hand",
    ),
    Mutant(
        "the clock jumps an hour late",
        (("np.asarray(at_s) // HOUR_S + 1, 0", "np.asarray(at_s) // HOUR_S, 0"),),
        "tests/unit/test_series.py::test_a_clock_that_jumps_forward_and_back",
    ),
    Mutant(
        "owners go by elapsed time",
        (("drawn - calendar.ahead_min(DAY_MIN * day + drawn)", "drawn"),),
        "tests/unit/test_series.py::test_owners_keep_the_clock_on_the_wall",
    ),
    Mutant(
        "an energy of a step is a power",
        (("self._of_kw(_ENERGIES[low] / step_h)", "self._of_kw(_ENERGIES[low])"),),
        "tests/unit/test_series.py::test_units_in_header_comment_and_scenario",
    ),
    Mutant(
        "a run goes on without what messages were on their way",
        (("            self.grid.go_on()\n", ""),),
        "tests/study/test_days.py::test_a_run_goes_on_after_any_day",
    ),
    Mutant(
        "prediction interval without 1/n",
        (("np.sqrt(1.0 + 1.0 / np.maximum(n, 1.0))", "1.0"),),
        f"{BY_HAND}::test_one_more_run_falls_within_t_times_sd_times_the_root_of_one_and_a_share",
    ),
    Mutant(
        "paper_inside with ten times the tolerance",
        (("rounding = 0.5 * 10.0 **", "rounding = 5.0 * 10.0 **"),),
        f"{BY_HAND}::test_the_papers_number_is_inside_by_half_of_its_last_digit",
    ),
    Mutant(
        "price_weight without the division by back",
        (("sale / np.maximum(back, 1.0)", "sale * np.ones_like(back)"),),
        f"{BY_HAND}::test_a_dear_hour_is_sold_in_where_it_pays_for_the_way_back",
    ),
    Mutant(
        "a trip empties the battery below soc_lower",
        (("np.maximum(soc - self.scenario.ev.soc_lower, 0.0)", "np.maximum(soc, 0.0)"),),
        f"{BY_HAND}::test_a_trip_empties_the_battery_to_its_lower_bound_and_no_further",
    ),
    Mutant(
        "default sd of times: a fifth of the range",
        (("sd = (high - low) / 4 if spec.sd_h", "sd = (high - low) / 5 if spec.sd_h"),),
        f"{BY_HAND}::test_the_default_spread_is_a_fifth_of_a_range_of_soc_and_a_quarter_of_any_other",
    ),
    Mutant(
        "default sd of quantities: a fifth of the range",
        (("_draw(u, spread, 4)", "_draw(u, spread, 5)"),),
        f"{BY_HAND}::test_the_default_spread_is_a_fifth_of_a_range_of_soc_and_a_quarter_of_any_other",
    ),
    Mutant(
        "default sd of SoCs: a quarter of the range",
        (("_draw(u, spread, 5)", "_draw(u, spread, 4)"),),
        f"{BY_HAND}::test_the_default_spread_is_a_fifth_of_a_range_of_soc_and_a_quarter_of_any_other",
    ),
    Mutant(
        "hours_above_limit with >=, feeder",
        (("(total > limit[:, None] + 1e-9)", "(total >= limit[:, None])"),),
        f"{BY_HAND}::test_demand_at_the_limit_is_not_above_it",
    ),
    Mutant(
        "hours_above_limit with >=, city",
        (("(total > limit + 1e-9).sum(),", "(total >= limit).sum(),"),),
        f"{BY_HAND}::test_demand_at_the_limit_is_not_above_it",
    ),
    Mutant(
        "coordinated charges a stay beyond the window within it",
        (("np.minimum((n_slots - self.arrival) / length, 1.0)", "np.ones_like(length)"),),
        f"{BY_HAND}::test_who_stays_beyond_a_day_is_planned_to_charge_a_share_in_it",
    ),
    Mutant(
        "who has come is expected all the same",
        (("factor * self._all - came, 0.0)", "factor * self._all, 0.0)"),),
        "tests/unit/test_coordinated.py::test_who_has_come_is_not_expected_any_more",
    ),
    Mutant(
        "what is due before the end may be charged after",
        (("if charged < needed - NOTHING_KWH:", "if False:"),),
        "tests/unit/test_coordinated.py::test_what_is_due_before_the_end_has_to_fit_before",
    ),
    Mutant(
        "what comes later is given before",
        (("discharged > min(have[t], most)", "discharged > min(have[-1], most)"),),
        "tests/unit/test_coordinated.py::test_what_is_given_has_to_be_there_by_then",
    ),
    Mutant(
        "the forecast is revised by more than a day",
        (("slice(max(0, issued + 1 - WINDOW_H), issued + 1)", "slice(0, issued + 1)"),),
        f"{BY_HAND}::test_the_forecast_is_revised_by_the_last_24_hours_and_no_more",
    ),
    Mutant(
        "the forecast is revised by an hour less than a day",
        (("issued + 1 - WINDOW_H", "issued + 2 - WINDOW_H"),),
        f"{BY_HAND}::test_the_forecast_is_revised_by_the_last_24_hours_and_no_more",
    ),
    Mutant(
        "who stays away has a reference cost",
        (('np.where(stays["arrived"], cost, 0.0)', "cost"),),
        f"{BY_HAND}::test_who_stays_away_pays_nothing_and_gains_nothing",
    ),
    Mutant(
        "chargers below 1 kW have no reference cost",
        (("np.where(rating > 0.0,", "np.where(rating > 1.0,"),),
        f"{BY_HAND}::test_a_stay_charged_at_once_costs_what_the_hours_cost",
    ),
    Mutant(
        "the bound charges who stays away",
        (("count = np.where(fleet.plugs_in, count, 0)", "count = count.copy()"),),
        f"{BY_HAND}::test_the_bound_charges_nobody_who_stays_away",
    ),
    Mutant(
        "quartile at another place",
        (('"q25": 0.25', '"q25": 0.3'),),
        "tests/study/test_statistics.py::test_quantiles_by_hand",
    ),
    Mutant(
        "median at another place",
        (('"q50": 0.5', '"q50": 0.55'),),
        "tests/study/test_statistics.py::test_quantiles_by_hand",
    ),
    Mutant(
        "a target that is just reached calls for one EV more",
        (("total_kw >= target_kw - EPS_KW", "total_kw >= target_kw + EPS_KW"),),
        "tests/unit/test_equations.py::test_rounding_decides_nothing_in_an_admission",
    ),
    Mutant(
        "a whole share loses a charger to rounding",
        (("np.floor(share + 1e-9)", "np.floor(share - 1e-9)"),),
        "tests/unit/test_equations.py::test_rounding_decides_nothing_in_an_admission",
    ),
)  # fmt: skip


def copy_to(folder: Path) -> None:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


def tests_pass(folder: Path, *tests: str) -> bool:
    """Whether these tests pass. RuntimeError if pytest could not run them."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "EVENFALL_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode not in (0, 1):
        raise RuntimeError(f"pytest ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}")
    return ran.returncode == 0


def make(mutant: Mutant, package: Path) -> dict[Path, str]:
    """Make the error; returns the texts of before. LookupError if one to change is not there."""
    before: dict[Path, str] = {}
    for old, new in mutant.edits:
        found = False
        for path in sorted(package.rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if old in text:
                found = True
                before.setdefault(path, text)
                path.write_text(text.replace(old, new), encoding="utf-8")
        if not found:
            put_back(before)
            raise LookupError(f"nowhere in abm/: {old}")
    return before


def put_back(before: dict[Path, str]) -> None:
    for path, text in before.items():
        path.write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only errors with one of these in their name")
    parser.add_argument("--list", action="store_true", help="name them and their tests")
    parser.add_argument("--find", action="store_true", help="only look for their texts")
    options = parser.parse_args()
    chosen = [
        m for m in MUTANTS if not options.words or any(word in m.name for word in options.words)
    ]
    if options.list:
        for mutant in chosen:
            print(f"{mutant.name}: {mutant.test}")
        return 0
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_to(folder)
        tests = sorted({mutant.test for mutant in chosen})
        if not options.find and not tests_pass(folder, *tests):
            print("a test fails without any error: mend that first")
            return 1
        for mutant in chosen:
            try:
                before = make(mutant, folder / "abm")
            except LookupError as error:
                said = f"NOT FOUND ({error})"
            else:
                if options.find:
                    said = "found in " + ", ".join(str(p.relative_to(folder)) for p in before)
                else:
                    said = "SURVIVES" if tests_pass(folder, mutant.test) else "noticed"
                put_back(before)
            print(f"{mutant.name}: {said}", flush=True)
            if said.startswith(("NOT", "SURVIVES")):
                wrong.append(mutant.name)
    print(f"{len(chosen) - len(wrong)} of {len(chosen)} noticed" if not options.find else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

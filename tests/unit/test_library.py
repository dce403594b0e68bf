"""The functions of the library: options, errors, what they return, and who sees a bar."""

import inspect
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import abm
from abm import InputError, Scenario, V2GModel
from abm.api.options import MEANINGS
from abm.report import progress as bars
from abm.report.html import report_of
from abm.results import Results
from abm.study import montecarlo as study

VERBS = ("run", "compare", "montecarlo", "sweep", "bound", "hosting", "reproduce", "breakeven",
         "reconfigure")  # fmt: skip
COMMON = ["set", "seed", "kpis", "trust", "progress"]
FEW = {"fleet.evs_per_zone": 1, "clock.step_s": 900}


class Never:
    def decide(self, fleet, broadcast, minute):
        return np.zeros(fleet.n, dtype=np.int8)


def problems_of(call):
    with pytest.raises(InputError) as caught:
        call()
    return caught.value.problems


# --- options -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VERBS)
def test_a_function_says_what_it_takes(name):
    function = getattr(abm, name)
    known = list(inspect.signature(function).parameters)
    assert [option for option in known if option in COMMON] == COMMON
    for option in known:
        said = f"{option}: {MEANINGS[option]}" if option in MEANINGS else f"{option}:"
        assert " ".join(said.split()) in " ".join(function.__doc__.split())


def test_public_names_are_there_and_nothing_heavy_comes_with_the_first_import():
    for name in abm.__all__:
        assert getattr(abm, name) is not None
    assert set(VERBS) <= set(abm.__all__)


def test_an_option_that_is_none_is_named_with_the_nearest():
    (problem,) = problems_of(lambda: abm.run("paper", sed=3))
    assert (problem.field, problem.hint) == ("sed", "did you mean 'seed'?")


def test_only_public_names_are_offered():
    assert dir(abm) == sorted(abm.__all__)


def test_a_field_that_is_none_is_named_once():
    with pytest.raises(InputError) as caught:
        abm.run("paper", set={"ev.efficency": 0.9})
    said = "set ev.efficency: unknown field (did you mean 'ev.efficiency'?)"
    assert str(caught.value) == said


def test_all_problems_come_at_once_by_the_names_of_the_options():
    found = problems_of(
        lambda: abm.bound("paper", step=7, metric=3, set={"ev.efficiency": 3}, seed="x")
    )
    where = [(problem.file, problem.field) for problem in found]
    assert sorted(where) == [
        ("", "metric"),
        ("", "step"),
        ("seed", "seed"),
        ("set ev.efficiency", "ev.efficiency"),
    ]
    found = problems_of(
        lambda: abm.montecarlo("paper", 0, until="peek:1%", at_least=0, workers=0, strategies=["x"])
    )
    fields = {problem.field for problem in found}
    assert fields == {"replications", "until", "at_least", "workers", "strategies"}
    found = problems_of(
        lambda: abm.sweep("paper", {"a": 3}, design="sobol:3", replications=0, kpis=["peek"])
    )
    assert {problem.field for problem in found} == {"a", "vary", "design", "replications", "kpis"}
    wrong = {"shares": [1, 0], "limits": {"lime": 1.0}, "risk": 3, "within": 0, "workers": True}
    found = problems_of(lambda: abm.hosting("paper", **wrong, set=["ev.efficiency=2"]))
    assert {*wrong, "ev.efficiency"} <= {problem.field for problem in found}
    found = problems_of(lambda: abm.reproduce(replications=0, set={"ev.efficiency": 2}))
    assert {problem.field for problem in found} == {"replications", "ev.efficiency"}
    # No word of the command line is left.
    with pytest.raises(InputError) as caught:
        abm.bound("paper", limit=3.0)
    assert "--" not in str(caught.value)
    assert "only with objective cost" in str(caught.value)


def test_a_strategy_that_is_none_is_named():
    (problem,) = problems_of(lambda: abm.run("paper", strategy=Never))
    assert (problem.file, problem.field, problem.value) == ("strategy", "rule", "Never")
    (problem,) = problems_of(lambda: abm.run("paper", strategy="evsm"))
    assert (problem.file, problem.field) == ("strategy", "strategy")
    assert "evms" in problem.hint


def test_names_of_kpis_alone_are_for_a_sweep():
    (problem,) = problems_of(lambda: abm.run("paper", kpis=["peak"]))
    assert problem.field == "kpis"


def test_code_that_a_scenario_names_needs_trust():
    with pytest.raises(InputError, match="trust"):
        abm.run("paper", strategy="no_such_module:Rule+first_come")


# --- scenarios ---------------------------------------------------------------------------------


def test_a_scenario_is_a_name_a_file_an_object_or_its_fields(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("abm.api.runs.run_once", lambda one, _: seen.append(one) or RUN)
    file = tmp_path / "mine.yaml"
    file.write_text("extends: paper\nname: paper\nfleet: {evs_per_zone: 1}\n", encoding="utf-8")
    given = ("paper", file, str(file), Scenario.load("paper"), {"extends": "paper"})
    for scenario in given:
        abm.run(scenario, set={**FEW, "ev.efficiency": np.float64(0.9)}, seed=7, strategy="evms")
        abm.run(scenario, set=[f"{k}={v}" for k, v in FEW.items()] + ["ev.efficiency=0.9"], seed=7)
    assert {one.fleet.evs_per_zone for one in seen} == {1}
    assert len({one.override(description="").to_yaml() for one in seen}) == 1
    assert seen[0].seed == 7


RUN = SimpleNamespace(results=SimpleNamespace(wall_s=None), wall_s=1.0)


# --- results -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def few():
    return Scenario.load("paper", settings=[*FEW.items()])


def test_a_run_is_what_the_model_says(few):
    results = abm.run(few, strategy="uncoordinated", seed=3)
    model = V2GModel(few.override(strategy="uncoordinated"), seed=3).run()
    assert isinstance(results, Results)
    assert results.kpis == model.results.kpis
    assert results.wall_s > 0.0


def test_objects_and_own_kpis_take_part(few):
    kpis = {"charged": lambda results: results.kpis["ev_charged_mwh"]}
    assert abm.run(few, strategy=Never(), kpis=kpis).kpis["charged"] == 0.0
    table = abm.compare(
        few, {"mine": (Never(), "first_come"), "evms": "evms"}, bound=False, kpis=kpis
    ).tables["comparison"]
    assert table["strategy"].tolist() == ["mine", "evms"]
    assert table["charged"][0] == 0.0 < table["charged"][1]
    found = abm.montecarlo(few, 2, strategies={"mine": Never()}, kpis=kpis)
    assert found.kpis["mine"]["charged"]["mean"] == 0.0
    swept = abm.sweep(few, {"fleet.evs_per_zone": range(1, 3)}, replications=2, kpis=kpis)
    assert swept.kinds == ("charged",)
    assert swept.tables["summary"]["fleet.evs_per_zone"].unique().tolist() == [1, 2]
    named = abm.sweep(few, ["fleet.evs_per_zone=1,2"], replications=2, kpis=["cost"])
    assert named.kinds == ("net_cost_usd",)


def test_what_workers_cannot_be_sent_is_said(few):
    kpis = {"mine": lambda results: 1.0}
    (problem,) = problems_of(lambda: abm.montecarlo(few, 2, kpis=kpis, workers=2))
    assert problem.field == "kpis.mine"


def test_the_paper_s_study_says_what_is_not_the_paper_s():
    found = abm.reproduce(set=FEW, seed=2)
    assert [line.partition(" = ")[0] for line in found.changed] == [*FEW][::-1]
    assert "fleet.evs_per_zone = 1 instead of 40" in found.changed
    assert found.scenario.seed == 2
    both = {"ev.efficiency": 0.92}
    from abm.study.reproduce import changes_in_words, paper_scenarios

    (line,) = changes_in_words(paper_scenarios([*both.items()]))
    assert line == "ev.efficiency = 0.92 instead of 0.98 as printed and 0.9 energy-balanced"
    (problem,) = problems_of(lambda: abm.reproduce(set={"requirement.kind": "energy_balanced"}))
    assert (problem.file, problem.field) == ("set requirement.kind", "requirement.kind")


def test_another_fleet_than_the_paper_s_is_not_told_what_the_paper_s_does():
    found = abm.reproduce(set={"fleet.evs_per_zone": 2, "clock.step_s": 900})
    report = report_of(found)
    said = " ".join([*report.answer, report.note])
    assert "flat at the limit" not in said
    assert "leaves no EV more than 1 % short, and its peak stays at" in said
    assert "they did not get" not in said
    command = "evenfall reproduce --seed 1 --set clock.step_s=900 --set fleet.evs_per_zone=2"
    assert sorted(report.again[0][1].split()) == sorted(command.split())


def test_the_paper_s_study_without_evs_has_no_figures_of_evs(tmp_path):
    found = abm.reproduce(set={"fleet.evs_per_zone": 0, "clock.step_s": 900})
    found.save(tmp_path / "none")
    assert report_of(found).answer == ["There is no EV, and nothing of the paper to compare."]
    assert found.kinds == ("fig2_price", "fig6_system_g2v", "fig8_voltage")


def test_a_limit_that_cannot_be_meant_is_warned_of(few):
    with pytest.warns(UserWarning, match="below the mean base load"):
        abm.run(few, set={"grid.demand_limit_mw": 1.0})


# --- kept in a folder --------------------------------------------------------------------------


def test_a_study_is_kept_as_it_goes_and_not_run_again(few, tmp_path, monkeypatch):
    out = tmp_path / "study"
    first = abm.montecarlo(few, 3, save=out)
    assert {path.name for path in out.iterdir()} >= {"study.json", "parts", "summary.csv"}
    monkeypatch.setattr(study, "run_chunk", None)
    again = abm.montecarlo(few, 3, save=str(out))
    assert again.tables["summary"].equals(first.tables["summary"])
    found = problems_of(lambda: abm.montecarlo(few, 3, strategies=["none"], save=out))
    assert any(problem.field == "strategies" for problem in found)
    with pytest.raises(abm.InputError):
        abm.montecarlo(few, 2, save=out)


def test_more_replications_go_on_with_what_is_there(few, tmp_path):
    out = tmp_path / "study"
    abm.montecarlo(few, 2).save(out)
    parts = {path.name for path in (out / "parts").iterdir()}
    grown = abm.montecarlo(few, 4, save=out)
    assert grown.ensemble.n == 4
    assert len(grown.tables["replications"]) == 4
    assert parts
    assert grown.tables["summary"].equals(abm.montecarlo(few, 4).tables["summary"])


def test_what_is_not_ours_is_left(few, tmp_path):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(abm.InputError, match="was not written by Evenfall"):
        abm.montecarlo(few, 1, save=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


# --- bars --------------------------------------------------------------------------------------


class Display:
    """What IPython.display does, written down."""

    def __init__(self):
        self.shown = []

    def HTML(self, text):  # noqa: N802
        return text

    def display(self, content, display_id):
        self.shown.append(content)
        return SimpleNamespace(update=self.shown.append)


def test_a_notebook_shows_a_bar_that_goes_when_all_is_done(monkeypatch, few):
    display = Display()
    shell = SimpleNamespace(kernel=object())
    python = ModuleType("IPython")
    python.get_ipython = lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", python)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(bars, "PAUSE_S", 0.0)
    abm.run(few, strategy="none")
    assert len(display.shown) == 1 + 24 + 1
    assert 'value="12" max="24"' in display.shown[12]
    assert "paper, none: 24 of 24" in display.shown[24]
    assert display.shown[-1] == ""
    display.shown.clear()
    abm.run(few, strategy="none", progress=False)
    assert display.shown == []
    # A terminal IPython is a terminal.
    shell.kernel = None
    assert not bars.in_notebook()


def test_a_terminal_shows_a_bar_and_a_pipe_none(monkeypatch, few, capsys):
    abm.run(few, strategy="none")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    abm.run(few, strategy="none")
    out, err = capsys.readouterr()
    assert "24/24" in err
    assert out == ""

"""report.html: what it says, that nothing in it is obeyed or fetched, and how large it becomes."""

import json
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from helpers import ev, run, scenario, small_paper

from abm import Results
from abm.report import html, page
from abm.report.feeder_map import UNKNOWN, feeder_map, packed, worst_flows
from abm.report.html import report_html, report_of
from abm.report.html_tables import cell, heading, kpi_heading
from abm.report.interactive import plain_numbers, words
from abm.report.interactive_runs import cost_and_peak, demand, zones
from abm.report.report_parts import settings_of
from abm.report.study_sentences import mean_text
from abm.report.terminal import failed_lines
from abm.report.units import dollars
from abm.results.indicators import INDICATORS

EVIL = "</script><img src=x onerror=alert(1)>\"'&<b>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


@pytest.fixture(scope="module")
def results():
    return run(small_paper(name="mine", strategy="evms")).results


@pytest.fixture(scope="module")
def text(results):
    return report_html(results)


class Tags(HTMLParser):
    """Every tag with its attributes, and the text of scripts apart from the rest."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.said, self.scripts, self._in = [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._in = tag

    def handle_endtag(self, tag):
        self._in = ""

    def handle_data(self, data):
        (self.scripts if self._in in ("script", "style") else self.said).append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.said).split())


def own(text):
    """The page without the script of Plotly."""
    script = page.plotly_script()
    return text if script is None else text.replace(script.replace("</script", "<\\/script"), "")


def test_the_answer_stands_in_three_sentences_with_numbers(results):
    report = report_of(results)
    kpis = results.kpis
    assert len(report.answer) == 3
    assert f"to {kpis['peak_15min_mw']:.3f} MW (at {kpis['peak_15min_time']}" in report.answer[0]
    assert f"{kpis['min_vm_pu']:.4f} p.u. (at N{kpis['min_vm_bus']}" in report.answer[1]
    assert "hourly means" in report.answer[1]
    assert f"${kpis['net_cost_usd']:,.2f} net" in report.answer[2]
    assert "seed 1" in report.note
    assert report.cautions[0].startswith("As printed, nobody gets back what V2G took")


def test_without_evs_nothing_is_said_of_owners():
    report = report_of(run(small_paper(fleet={"evs_per_zone": 0})).results)
    assert report.answer[0].startswith("Without any EV the highest demand of 15 minutes is 3.7")
    assert report.answer[2] == "There is no EV to charge, and nobody pays anything."


def test_of_a_single_ev_the_words_are_in_the_singular():
    one = scenario(ev("a", 1), strategy="uncoordinated", requirement={"kind": "energy_balanced"})
    report = report_of(run(one).results)
    assert report.answer[0].startswith("1 EV in 15 zones ")
    assert report.answer[2].startswith("The EV gets what it asked for; the owner pays $")
    assert report.note.startswith("The stays are those of a file")


def test_parts_of_hours_without_a_load_flow_have_two_digits():
    assert failed_lines({"evms": 17 / 6, "none": 0.0, "mpc": 2.0}) == [
        f"{name}: the load flow did not converge in {hours} hours; its losses and lowest voltage "
        "are not known."
        for name, hours in (("evms", "2.83"), ("mpc", "2"))
    ]


def test_a_load_flow_without_a_solution_leaves_no_number_behind(results):
    flows = results.record.flows
    converged = flows.converged.copy()
    converged[5] = False
    gone = {
        name: np.where(converged[(...,) + (None,) * (values.ndim - 2)], values, np.nan)
        for name, values in vars(flows).items()
        if values.dtype.kind == "f"
    }
    failed = Results(replace(results.record, flows=replace(flows, **gone, converged=converged)))
    report = report_of(failed)
    assert report.answer[1].startswith("The load flow did not converge in 1 hour, so that")
    assert report.cautions[1].startswith("The load flow did not converge in 1 hours (17:00)")
    (main,) = (table for table in report.tables if table.key == "main")
    assert ("Largest loss (hourly means)", "-") in main.rows
    assert "nan" not in Tags(report_html(failed)).words.lower().split()
    low = next(chart for chart in report.charts if chart.title == "Voltage").chart["data"][0]
    assert low["y"][5] is None
    assert low["y"][4] is not None


def test_nothing_is_loaded_from_anywhere(text):
    parsed = Tags(text)
    for tag, attributes in parsed.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "action", "data", "srcset"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/png")), (tag, name, value)
    ours = " ".join(Tags(own(text)).scripts)
    assert not re.search(r"https?://|\bimport\s*\(|\bfetch\s*\(|XMLHttpRequest|url\(", ours)
    policy = next(a for t, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'; ")
    assert "http" not in policy["content"]


def test_what_a_scenario_says_is_shown_and_never_obeyed():
    said = scenario(ev(EVIL, 1, soc=0.2, target=0.9, departure=490), description=f"{EVIL} said")
    parsed = Tags(report_html(run(said).results))
    assert not [tag for tag, _ in parsed.tags if tag in ("img", "b")]
    assert sum(tag == "script" for tag, _ in parsed.tags) in (2, 3)
    assert f"{EVIL} said" in parsed.words
    assert [words for words in parsed.said if words == EVIL]
    json.loads(next(s for s in parsed.scripts if s.startswith('{"charts"')))
    assert words("<a href='x'>y</a>") == "&lt;a href='x'&gt;y&lt;/a&gt;"


def test_the_same_run_gives_the_same_bytes_however_long_it_took(results, text):
    assert report_html(Results(results.record, wall_s=123.456)) == text
    assert "123.456" not in text


def test_the_page_names_seed_versions_and_commands_that_give_the_same(results, text):
    report = report_of(results)
    assert dict(report.versions)["evenfall"] in text
    commands = [command for _, command in report.again]
    assert commands[0] == "evenfall run scenario.yaml"
    assert commands[1] == (
        "evenfall run paper --set fleet.evs_per_zone=2 --set mpc.interval_min=60 "
        "--set grid.demand_limit_mw=3.1 --seed 1"
    )
    assert "Vashisth" in report.cite


def test_settings_say_the_scenario_or_are_left_out(tmp_path):
    changed = small_paper(seed=7, broadcast={"interval_min": 15}, strategy="evms_herd")
    settings = settings_of(changed)
    assert "broadcast.interval_min=15" in settings
    assert "strategy=evms_herd" in settings
    assert settings_of(scenario(ev("a", 1), folder=tmp_path)) is None


def test_without_plotly_the_figures_are_pictures(results, monkeypatch):
    monkeypatch.setattr(html, "plotly_script", lambda: None)
    parsed = Tags(report_html(results))
    pictures = [attributes for tag, attributes in parsed.tags if tag == "img"]
    assert [one["alt"] for one in pictures] == ["Demand", "Zones", "Voltage"]
    assert all(one["src"].startswith("data:image/png;base64,") for one in pictures)
    assert 'pip install "evenfall[report]"' in parsed.words
    assert not [a for _, a in parsed.tags if a.get("class") == "plot"]
    handed = Tags(report_html(results, [("figures/own.png", b"\x89PNG")]))
    assert [a["alt"] for tag, a in handed.tags if tag == "img"] == ["Own"]


def test_the_package_plotly_is_not_imported(text):
    code = (
        "import sys; import abm.report.html as h; h.plotly_script(); "
        "sys.exit('plotly' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert len(text) > 1000


def test_what_is_too_large_is_left_out_and_said(results, monkeypatch):
    report = report_of(results)
    monkeypatch.setattr(page, "MOST_BYTES", 75_000)
    small = page.page(report, "")
    assert len(small.encode()) <= 75_000
    assert "left out to keep this file small" in Tags(small).words
    assert report.answer[0] in Tags(small).words.replace("\n", " ")


def test_pages_stay_below_six_megabytes(text):
    assert len(text.encode()) < page.MOST_BYTES


def test_every_table_has_headings_that_sort_and_cells_in_every_column(text):
    parsed = Tags(text)
    assert sum("data-copy" in a for _, a in parsed.tags) == 2 * text.count('<div class="table"')
    report_rows = re.findall(r"<thead><tr>(.*?)</tr></thead><tbody>(.*?)</tbody>", text, re.S)
    assert len(report_rows) > 4
    for head, body in report_rows:
        n = head.count('aria-sort="none"')
        assert all(row.count("<td") == n for row in body.split("</tr>") if row.strip())


def test_headings_are_words_with_units():
    assert heading("shortfall_kwh") == "shortfall (kWh)"
    assert heading("soc_departure") == "SoC on departure"
    assert kpi_heading("min_vm_pu", (60,)) == "Lowest voltage, hourly means (p.u.)"
    assert kpi_heading("peak_15min_mw") == "System peak of 15 min (MW)"
    assert kpi_heading("min_vm_bus", (60,)) == "Bus of the lowest voltage"
    for name, known in INDICATORS.items():
        assert known.label[:1].isupper() or known.label.startswith("EV"), name
        assert "_" not in known.label
        # What has a unit says it; of a clock time its words do.
        assert known.unit == "-" or "(" in known.label or known.label.startswith("Hour of"), name


# --- figures and map ---------------------------------------------------------------------------


def test_what_owners_earn_has_its_sign_before_the_dollar():
    assert [dollars(v) for v in (-1234.5, 1234.5, -0.001)] == ["-$1,234.50", "$1,234.50", "$0.00"]
    row = {"mean": -46.2, "sd": 9.0, "ci95_low": -1063.0, "ci95_high": -29.0}
    assert mean_text("net_cost_usd", row, small=False).startswith("-$46 (-$1,063 to -$29")


def test_cells_have_no_sign_where_they_round_to_nothing():
    assert [cell(value, 2) for value in (-0.001, -0.006, np.nan, 3)] == ["0.00", "-0.01", "-", "3"]


def test_code_in_a_sentence_is_shown_as_code(results, text):
    assert "<code>evenfall montecarlo</code> says how much" in text
    assert "`" in report_of(results).note
    assert "`" not in Tags(own(text)).words
    assert "`<b>`" not in page.page(replace(report_of(results), note="`<b>`"), None)


def test_numbers_have_five_digits_and_no_nan():
    assert plain_numbers([1.23456789, np.nan, np.inf, 1e6]) == [1.2346, None, None, 1e6]
    assert plain_numbers(np.array([[1.0], [np.nan]])) == [[1.0], [None]]


def test_demand_has_both_grains_and_the_limit(results):
    chart = demand(results).chart
    names = [trace["name"] for trace in chart["data"]]
    assert names == 2 * ["without EVs", "system", "EVs, net", "limit"]
    assert [trace["visible"] for trace in chart["data"]] == 4 * [True] + 4 * [False]
    quarter, minute = chart["data"][1], chart["data"][5]
    assert (len(quarter["y"]), quarter["dx"]) == (97, 900_000)
    assert (len(minute["y"]), minute["dx"]) == (1441, 60_000)
    assert max(quarter["y"]) == pytest.approx(results.kpis["peak_15min_mw"], rel=1e-4)
    assert [b["label"] for b in chart["layout"]["updatemenus"][0]["buttons"]] == [
        "Means of 15 min",
        "Means of 1 min",
    ]


def test_names_beside_marks_stand_where_there_is_room():
    def marks(*points):
        rows = [
            {"strategy": f"s{i}", "peak": x, "net_cost_usd": y, "evs_short": 0}
            for i, (x, y) in enumerate(points)
        ]
        return cost_and_peak(rows, "peak").chart

    apart = marks((1.0, 5.0), (2.0, 9.0), (np.nan, 1.0))
    assert [m["textposition"] for m in apart["data"][:2]] == ["middle right", "middle left"]
    assert not apart["layout"]["showlegend"]
    assert marks((1.0, 5.0), (1.9, 9.0), (2.0, 9.1))["layout"]["showlegend"]


def test_zones_are_rows_of_a_heat_map(results):
    trace = zones(results).chart["data"][0]
    assert np.array(trace["z"]).shape == (15, 24)
    assert trace["y"][14] == "zone 15"
    assert trace["zmax"] == -trace["zmin"] == np.abs(results.zone_kw).max()


def unpacked(text):
    return np.frombuffer(b64decode(text), dtype="<u2")


def test_the_map_has_every_load_flow_in_whole_numbers(results):
    found = feeder_map({"evms": results})
    (one,) = found.data["runs"]
    vm = unpacked(one["vm"]).reshape(24, 33)
    np.testing.assert_allclose(vm / 1e4, results.flows.vm_pu, atol=5e-5)
    percent = unpacked(one["line"]).reshape(24, 32)
    np.testing.assert_allclose(percent / 10.0, results.record.loading_percent[:, 0], atol=0.05)
    assert found.data["times"][:2] == ["12:00", "13:00"]
    assert found.markup.count('class="b"') == 33
    assert found.markup.count('class="l"') == 32
    assert unpacked(packed(np.array([np.nan, 0.97, 99.0, -1.0]), 1e4)).tolist() == [
        UNKNOWN,
        9700,
        UNKNOWN,
        UNKNOWN,
    ]


def test_a_map_with_too_little_room_keeps_the_worst_load_flows(results):
    low = results.record.lowest_vm_pu[:, 0]
    flows = worst_flows([results], 0, 3)
    assert len(flows) == 3
    assert int(np.argmin(low)) in flows
    assert flows.tolist() == sorted(flows.tolist())
    thinned = feeder_map({"evms": results}, most_bytes=6_000)
    assert 1 <= len(thinned.data["times"]) < 24
    assert f"it has {len(thinned.data['times'])} of 24 load flows" in thinned.about


def test_of_several_days_and_feeders_the_page_names_what_it_shows():
    days = run(small_paper(horizon={"days": 2})).results
    report = report_of(days)
    assert report.map.data["times"][24] == "day 2, 12:00"
    # As the axes of the figures have it: the second midnight begins day 3.
    assert report.map.data["times"][37] == "day 3, 1:00"
    assert re.search(r"MW \(at day [123], \d+:\d\d", report.answer[0])
    assert any(table.key == "days" for table in report.tables)
    low = run(small_paper(horizon={"days": 2}, grid={"vm_min_pu": 0.95})).results
    (broken,) = (table for table in report_of(low).tables if table.key == "violations")
    begin = [name for name, _ in broken.columns].index("begin")
    assert {row[begin].partition(",")[0] for row in broken.rows} > {"day 1", "day 2"}
    city = run(small_paper(feeder={"copies": 3})).results
    report = report_of(city)
    assert "of 3, that with the lowest voltage" in report.map.about
    assert any(table.key == "feeders" for table in report.tables)
    assert "on 3 feeders" in report.answer[0]


# --- in a browser ------------------------------------------------------------------------------

PROBE = """
<script>
addEventListener("load", () => setTimeout(() => {
  const table = document.querySelector("#table-zones table");
  const head = Array.from(table.tHead.rows[0].cells);
  const at = head.findIndex((th) => th.textContent.trim().startsWith("peak"));
  const rows = () => Array.from(table.tBodies[0].rows);
  const column = () => rows().map((row) => parseFloat(row.cells[at].textContent));
  head[at].querySelector("button").click();
  const up = column();
  head[at].querySelector("button").click();
  const down = column();
  const slider = document.querySelector("#map-time");
  const before = document.querySelector(".say").textContent;
  slider.value = 17;
  slider.dispatchEvent(new Event("input"));
  const dot = document.querySelectorAll(".b")[17];
  dot.dispatchEvent(new Event("pointerenter"));
  const found = {
    up, down, before,
    plots: document.querySelectorAll(".plot .main-svg").length,
    plotly: typeof window.Plotly,
    when: document.querySelector(".when").textContent,
    after: document.querySelector(".say").textContent,
    tip: document.querySelector(".tip").textContent,
    fill: dot.style.fill,
    requests: performance.getEntriesByType("resource").map((entry) => entry.name),
  };
  const say = document.createElement("pre");
  say.id = "probe";
  say.textContent = JSON.stringify(found);
  document.body.appendChild(say);
}, 300));
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_in_a_browser_figures_are_drawn_tables_sort_and_the_map_moves(results, text, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(text + PROBE, encoding="utf-8")
    call = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            "--disable-background-networking", f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=6000", "--dump-dom", path.as_uri()]  # fmt: skip
    done = subprocess.run(call, capture_output=True, text=True, check=True, timeout=120)
    assert ":CONSOLE" not in done.stderr, done.stderr
    said = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.S)[1]
    found = json.loads(said.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert found["up"] == sorted(found["up"])
    assert found["down"] == sorted(found["down"], reverse=True)
    assert found["requests"] == []
    if found["plotly"] == "object":
        assert found["plots"] >= len(report_of(results).charts)
    low = results.flows.vm_pu[17]
    assert found["when"] == "5:00"
    assert found["after"] != found["before"]
    assert found["after"].startswith(f"Lowest voltage {low.min():.4f} p.u. at N{low.argmin() + 1}")
    assert found["tip"] == f"N18: {low[17]:.4f} p.u."
    assert found["fill"].startswith("rgb(")

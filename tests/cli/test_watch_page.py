"""The verb watch, and its page in a real browser where there is one."""

import io
import os
import re
import signal
import threading
import time
import urllib.error
import urllib.request
from contextlib import redirect_stderr, redirect_stdout
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from helpers import small_paper

from abm.cli import main

CHROMIUM = Path("/usr/bin/chromium")
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\?token=\S+")
pytest.importorskip("dash", reason="the extra watch is not installed")


def watched(*argv, meanwhile=lambda address: None):
    """`watch` in this process, ended by Ctrl-C once `meanwhile` is through."""
    out, err = io.StringIO(), io.StringIO()
    failed = []

    def other():
        end = time.monotonic() + 60
        while not ADDRESS.search(out.getvalue()) and time.monotonic() < end:
            time.sleep(0.01)
        try:
            meanwhile(ADDRESS.search(out.getvalue())[0])
        except BaseException as error:
            failed.append(error)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=other)
    thread.start()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["watch", *argv])
    thread.join()
    if failed:
        raise failed[0]
    return code, out.getvalue(), err.getvalue()


SMALL = ("paper", "--set", "fleet.evs_per_zone=1", "--no-browser")


def test_the_verb_serves_until_ctrl_c():
    seen = {}

    def ask(address):
        root = address.split("?")[0]
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            urllib.request.urlopen(root)
        refused.value.close()
        jar = urllib.request.HTTPCookieProcessor(CookieJar())
        opener = urllib.request.build_opener(jar)
        with opener.open(address) as answer:
            seen["page"] = answer.read().decode()
        with opener.open(root + "assets/watch.css") as answer:
            seen["style"] = answer.read().decode()
        seen["threads"] = {thread.name for thread in threading.enumerate()}

    code, out, err = watched(*SMALL, "--strategy", "coordinated", "--seed", "3", meanwhile=ask)
    assert (code, err) == (0, "")
    assert out.startswith("paper is at http://127.0.0.1:")
    assert "Evenfall: paper" in seen["page"]
    # Nothing of it would be fetched from elsewhere.
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", seen["page"])
    assert ".panel" in seen["style"]
    ours = {"evenfall-watch", "evenfall-server"}
    assert ours <= seen["threads"]
    assert not ours & {thread.name for thread in threading.enumerate()}


def test_a_browser_is_opened_where_there_is_a_screen(monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    for screen, times in ((":0", 1), ("", 0)):
        monkeypatch.setattr("sys.platform", "linux")
        monkeypatch.setenv("DISPLAY", screen)
        monkeypatch.setenv("WAYLAND_DISPLAY", "")
        _, out, _ = watched(*SMALL[:-1])
        assert opened == [ADDRESS.search(out)[0]] * times
        opened.clear()


def test_others_are_let_in_only_with_a_warning():
    code, _, err = watched(*SMALL, "--host", "0.0.0.0")
    assert code == 0
    assert err.startswith("warning: others can reach 0.0.0.0")


def test_what_is_wrong_is_said_before_anything_is_served():
    for argv, says in (
        (("nowhere",), "nowhere"),
        (("paper", "--port", "99999"), "--port = 99999"),
        (("city",), "feeder.copies"),
        (("paper", "--strategy", "best"), "--strategy"),
    ):
        err = io.StringIO()
        with redirect_stderr(err):
            assert main(["watch", *argv, "--no-browser"]) == 2
        assert says in err.getvalue()


# --- in the browser ----------------------------------------------------------------------------


def until(page, holds):
    """Wait until an expression holds in a page, whose own policy lets nobody evaluate text."""
    end = time.monotonic() + 30
    while not page.evaluate(holds):
        assert time.monotonic() < end, holds
        time.sleep(0.02)


@pytest.fixture(scope="module")
def page():
    """The page in Chromium, what it asked for and what its console said."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    from abm.watch.server import Server
    from abm.watch.session import Session

    server = Server(Session(small_paper(strategy="evms")))
    server.start()
    with playwright.sync_playwright() as driver:
        args = ["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=args)
        found = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
        found.asked, found.console = [], []
        found.on("request", lambda request: found.asked.append(request.url))
        found.on("console", lambda line: found.console.append((line.type, line.text)))
        found.on("pageerror", lambda error: found.console.append(("error", str(error))))
        found.goto(server.address)
        found.session = server.session
        found.wait_for_selector("#demand .main-svg")
        until(found, "document.querySelector('#clock').innerText == '12:00'")
        yield found
        browser.close()
    server.close()


def clock(page, says):
    until(page, f"document.querySelector('#clock').innerText == '{says}'")


def data_of(page, name):
    """The traces that are drawn in a figure."""
    return page.evaluate(f"document.querySelector('#{name} .js-plotly-plot').data")


def test_it_plays_and_stands_still(page):
    page.click("#minute")
    clock(page, "12:01")
    for _ in range(6):
        before = page.inner_text("#clock")
        page.click("#hour")
        there = "document.querySelector('#status').innerText == ''"
        until(page, f"document.querySelector('#clock').innerText != '{before}' && {there}")
    page.click("#play")
    until(page, "document.querySelector('#play').innerText == 'Pause'")
    until(page, "document.querySelector('#clock').innerText > '18:10'")
    page.click("#play")
    until(page, "document.querySelector('#play').innerText == 'Play'")
    still = page.session.view.minute
    page.wait_for_timeout(300)
    assert page.session.view.minute == still
    assert "18:00" in page.inner_text("#messages")
    line = next(trace for trace in data_of(page, "demand") if trace["name"] == "evms")
    assert sum(value is not None for value in line["y"]) == still


def test_a_slider_changes_the_picture(page):
    def evs():
        return sum(sum(trace["y"]) for trace in data_of(page, "zones"))

    assert evs() == 30
    minute = page.session.view.minute
    handle = page.locator("#page .slider").first.locator("[role=slider]")
    handle.focus()
    for _ in range(3):
        handle.press("ArrowRight")
    until(
        page,
        "document.querySelector('#zones .js-plotly-plot').data"
        ".flatMap(t => t.y).reduce((a, b) => a + b, 0) == 75",
    )
    assert "EVs in each zone: 5, from the start" in page.inner_text("#said")
    assert page.session.view.minute == minute
    page.click("#reset")
    until(page, "document.querySelector('#page .slider b').innerText == '2'")


def test_strategies_stand_side_by_side(page):
    page.click("#second")
    page.get_by_role("option", name="coordinated", exact=True).click()
    until(page, "document.querySelector('#evs .js-plotly-plot').data.some(t => t.xaxis == 'x2')")
    assert [lane.label for lane in page.session.lanes] == ["evms", "coordinated"]
    assert "coordinated" in page.inner_text("#numbers")


def test_an_ev_is_clicked_read_and_changed(page):
    until(page, "!document.querySelector('#status').innerText")
    page.fill("#ev-name", "9999")
    page.press("#ev-name", "Enter")
    until(page, "document.querySelector('#said-ev').innerText == 'There is no EV 9999.'")
    dot = page.locator("#evs .scatterlayer .point").first
    dot.click(force=True)
    page.wait_for_selector("#ev-form:not(.hidden)")
    page.wait_for_selector("#ev-about .about")
    until(page, "document.querySelector('#said-ev').innerText == ''")
    index = page.session.find_ev(page.input_value("#ev-name"))
    assert "wants on departure" in page.inner_text("#ev-about")
    page.fill("#soc_target", "130")
    page.fill("#departure", "26:00")
    page.click("#change")
    page.wait_for_selector("#said-ev.wrong")
    assert "from 0 to 100" in page.inner_text("#said-ev")
    assert "departure" in page.inner_text("#said-ev")
    page.fill("#soc_target", "66")
    page.fill("#departure", "07:11")
    page.click("#change")
    page.wait_for_selector("#said-ev.fine")
    for lane in page.session.lanes:
        changed = lane.model.evs[index]
        assert changed.soc_target == 0.66
        assert lane.model.clock_time(changed.departure_min) == "07:11"


def test_several_tabs_share_one_run(page):
    other = page.context.new_page()
    other.goto(page.url)
    other.wait_for_selector("#demand .main-svg")
    clock(other, page.inner_text("#clock"))
    page.click("#hour")
    until(page, "!document.querySelector('#status').innerText")
    until(other, "document.querySelector('#clock').innerText > '19'")
    other.close()


def test_no_request_left_the_machine_and_the_console_is_quiet(page):
    page.click("#restart")
    clock(page, "12:00")
    root = page.url
    local = ("data:", "blob:")
    assert [url for url in page.asked if not url.startswith((root, *local))] == []
    assert len(page.asked) > 20
    assert [line for line in page.console if line[0] in ("error", "warning")] == []

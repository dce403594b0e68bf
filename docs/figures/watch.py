"""docs/img/watch.png: the page of `watch` at nine in the evening, as Chromium shows it.

Needs playwright and /usr/bin/chromium. `--smoke` draws nothing: it makes the page's figures once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from abm import Scenario
from abm.report.layout import feeder_layout
from abm.watch.map_figure import map_chart
from abm.watch.server import Server
from abm.watch.session import Session

PICTURE = Path(__file__).parents[1] / "img" / "watch.png"
CHROMIUM = "/usr/bin/chromium"
NINE = 9 * 60.0 + 25.0


def main(smoke: bool) -> None:
    """Make the picture."""
    settings = ["fleet.evs_per_zone=1"] if smoke else []
    session = Session(Scenario.load("paper", settings=settings))
    session.choose(["evms", "coordinated"])
    session.walk_to(60.0 if smoke else NINE)
    if smoke:
        feeder, lanes = session.lanes[0].model.grid.feeder, session.view.lanes
        chart = map_chart(lanes, feeder_layout(feeder), feeder.bus_names, session.scenario)
        print(f"the map has {len(chart['data'])} traces")
        return
    from playwright.sync_api import sync_playwright

    server = Server(session)
    server.start()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(server.address)
        page.wait_for_selector("#demand .main-svg")
        page.fill("#ev-name", "120")
        page.press("#ev-name", "Enter")
        page.wait_for_selector("#ev-about .about")
        page.wait_for_timeout(1500)
        page.screenshot(path=PICTURE)
        browser.close()
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small and quick; writes no picture")
    main(parser.parse_args().smoke)

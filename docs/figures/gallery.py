"""Pictures and numbers of docs/gallery.md: `python docs/figures/gallery.py`.

Every shipped scenario is run as it is, and one of its figures and three of its KPIs are shown.
Some five minutes, most of them for the city.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from _common import SMOKE, few, load, options, output

from abm import Results, V2GModel
from abm.report.figures import png
from abm.report.run_figures import run_figures
from abm.results.indicators import INDICATORS
from abm.scenario.names import shipped_scenarios

PAGES = Path(__file__).resolve().parents[1]
HEAD = """# Gallery

What ships with Evenfall: `python run.py run NAME` for each, a picture of it and three of its
numbers. Made by `python docs/figures/gallery.py` from the scenarios as they are, one seed each;
what differs between seeds is said on the pages that the scenarios come from.
[scenario.md](scenario.md) has every field, [kpis.md](kpis.md) every KPI.
"""
DEMAND = ("peak_15min_mw", "energy_short_kwh", "net_cost_usd")
# Figure and numbers of those that are about something else than demand.
SHOWN: dict[str, tuple[str, tuple[str, str, str]]] = {
    "city": ("spread", ("peak_15min_mw", "min_vm_pu", "evs_short")),
    "demand_charge": ("prices", ("peak_15min_mw", "demand_charge_usd", "net_cost_usd")),
    "price_follows_demand": ("prices", ("peak_15min_mw", "oscillation_period_min", "net_cost_usd")),
    "solar_homes": ("balance", ("self_consumption", "self_sufficiency", "reverse_flow_hours")),
    "workplace_noon": ("balance", ("self_consumption", "self_sufficiency", "reverse_flow_hours")),
    "stale_broadcast": (
        "swing",
        ("oscillation_amplitude_mw", "oscillation_period_min", "mode_switches_per_ev"),
    ),
    "volt_var": ("voltage", ("min_vm_pu", "loss_energy_mwh", "peak_15min_mw")),
    "v2g_adoption": ("days", ("v2g_share", "peak_15min_mw", "net_cost_usd")),
    "weekend": ("days", ("peak_15min_mw", "energy_short_kwh", "net_cost_usd")),
    "worn_batteries": ("ageing", ("ageing_usd", "ageing_more_usd", "benefit_net_usd")),
    "transformer_year": (
        "transformers",
        ("max_hot_spot_c", "max_loss_of_life_h", "peak_15min_mw"),
    ),
    "year": ("hours", ("peak_15min_mw", "loss_energy_mwh", "net_cost_usd")),
}


def number(name: str, value: Any) -> str:
    """A KPI with its unit, as in a sentence."""
    indicator = INDICATORS[name]
    if value is None:
        return f"`{name}` -"
    unit = "" if indicator.unit == "-" else f" {indicator.unit}"
    return f"`{name}` {value:,.{indicator.digits}f}{unit}"


def picture(results: Results, wanted: str) -> bytes:
    """The figure of this name; of demand where there is none."""
    found = run_figures(results)
    return png(found.get(wanted, found["demand"])())


def main() -> int:
    """Run the scenarios, write the pictures and the page."""
    options(__doc__).parse_args()
    folder = output(PAGES)
    images = folder / "img" / "gallery"
    images.mkdir(parents=True, exist_ok=True)
    text = HEAD
    for name, description in few(sorted(shipped_scenarios().items())):
        wanted, kpis = SHOWN.get(name, ("demand", DEMAND))
        results = V2GModel(load(name)).run().results
        (images / f"{name}.png").write_bytes(picture(results, wanted))
        said = ", ".join(number(kpi, results.kpis[kpi]) for kpi in kpis)
        text += f"\n## {name}\n\n{description}.\n\n{said}.\n\n"
        text += f"![{wanted} of {name}](img/gallery/{name}.png)\n"
        print(f"{name}: {said}", flush=True)
    (folder / "gallery.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    if SMOKE:
        print("a few scenarios with few EVs; nothing is kept")
    sys.exit(main())

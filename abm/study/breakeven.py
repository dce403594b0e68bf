"""Does V2G pay? Each strategy with and without it on the same EVs, the batteries' wear counted.

What it is worth is a straight line in the sale ratio and in the price of a pack, as long as neither
changes what the strategy does, so that two runs give both lines and where they cross zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.errors import InputError, Problem
from abm.results import Results
from abm.scenario import Scenario
from abm.study.compare import Strategies, strategies_of, under
from abm.study.runs import run_once

if TYPE_CHECKING:
    import pandas as pd

# Energy that is no V2G, MWh.
NOTHING_MWH = 1e-9
FIELD = "tariff.sale_ratio"


@dataclass(frozen=True)
class Worth:
    """What V2G brings and costs all owners under one strategy over the horizon [$].

    v2g_mwh: energy supplied. sold_usd: its worth at the price alpha less taxes, which the sale
    ratio multiplies. taken_usd: grid fees and levies on it. purchase_usd: paid more for what is
    bought, and for peaks. missing_usd: energy that it left missing on departure, at the mean price
    paid. wear_usd: what the batteries wear more for each $/kWh that a pack costs. sale_ratio,
    pack_usd_per_kwh: those of the scenario. kpis: of the run with V2G, those asked for.
    """

    v2g_mwh: float
    sold_usd: float
    taken_usd: float
    purchase_usd: float
    missing_usd: float
    wear_usd: float
    sale_ratio: float
    pack_usd_per_kwh: float
    kpis: Mapping[str, Any] = field(default_factory=dict)

    def at(self, sale_ratio: float | None = None, pack_usd_per_kwh: float | None = None) -> float:
        """What V2G is worth at a sale ratio and a price of a pack, the scenario's by default."""
        ratio = self.sale_ratio if sale_ratio is None else sale_ratio
        pack = self.pack_usd_per_kwh if pack_usd_per_kwh is None else pack_usd_per_kwh
        paid = self.taken_usd + self.purchase_usd + self.missing_usd
        return ratio * self.sold_usd - paid - pack * self.wear_usd

    @property
    def least_sale_ratio(self) -> float | None:
        """Sale ratio at which it just pays.

        None where what is sold has no price above 0, so that no ratio is high enough.
        """
        return -self.at(sale_ratio=0.0) / self.sold_usd if self.sold_usd > 0.0 else None

    @property
    def most_pack_usd_per_kwh(self) -> float | None:
        """Price of a pack at which it just pays, below 0 where it never does.

        None where V2G wears the batteries no more than charging alone does.
        """
        return self.at(pack_usd_per_kwh=0.0) / self.wear_usd if self.wear_usd > 0.0 else None


def default_strategies(scenario: Scenario) -> list[str]:
    """The scenario's own strategy and the shipped ones whose schedule no sale price changes."""
    own = scenario.strategy
    return [name for name in strategies_of(scenario) if name != "mpc" or name == own]


def break_even(
    scenario: Scenario,
    strategies: Strategies,
    on_hour: Callable[[], None] | None = None,
    kpis: Sequence[str] = (),
) -> dict[str, Worth]:
    """Worth of V2G under each strategy that uses it. on_hour: called after every hour of its runs.

    kpis: those that stand beside it.

    Raises InputError for what is no strategy, for a sale ratio of 0 and sale prices of their own.
    """
    if scenario.tariff.sale_ratio == 0.0:
        said = "above 0; the ratio to break even follows from what is earned at it"
        raise InputError([Problem(FIELD, "0", said)])
    if scenario.tariff.sale_prices is not None:
        said = "left out; what breaks even is a sale ratio"
        raise InputError([Problem("tariff.sale_prices", scenario.tariff.sale_prices, said)])
    found = {}
    for name, one in under(scenario, strategies).items():
        per_pack = one.override({"ageing.pack_usd_per_kwh": 1.0})
        without = per_pack.override({"owners.v2g_participation": 0.0, **_groups_without(one)})
        runs = [run_once(of, on_hour).results for of in (per_pack, without)]
        if runs[0].kpis["ev_discharged_mwh"] > NOTHING_MWH:
            found[name] = replace(_worth(scenario, *runs), kpis=_asked(one, runs[0], kpis))
    return found


def _asked(scenario: Scenario, run: Results, kpis: Sequence[str]) -> dict[str, Any]:
    """KPIs of a run at the scenario's own price of a pack, which no decision depends on."""
    if not kpis:
        return {}
    found = Results(replace(run.record, scenario=scenario)).kpis
    return {name: found.get(name) for name in kpis}


def _groups_without(scenario: Scenario) -> dict[str, float]:
    groups = scenario.owners.groups
    return {f"owners.groups.{name}.v2g_participation": 0.0 for name in groups}


def _worth(scenario: Scenario, with_v2g: Results, without: Results) -> Worth:
    more = {
        name: with_v2g.kpis[name] - without.kpis[name]
        for name in ("purchase_usd", "demand_charge_usd", "energy_short_kwh", "ageing_usd")
    }
    ratio, sold_mwh = scenario.tariff.sale_ratio, with_v2g.kpis["ev_discharged_mwh"]
    taken = 1e3 * sold_mwh * scenario.tariff.tax.sale_usd_per_kwh
    taken += float(np.sum(with_v2g.record.ev.get("sale_fee_usd", 0.0)))
    paid, charged = with_v2g.kpis["purchase_usd"], 1e3 * with_v2g.kpis["ev_charged_mwh"]
    price = paid / charged if charged > 0.0 else 0.0
    return Worth(
        sold_mwh,
        (with_v2g.kpis["sale_usd"] + taken) / ratio,
        taken,
        more["purchase_usd"] + more["demand_charge_usd"],
        more["energy_short_kwh"] / scenario.ev.efficiency * price,
        more["ageing_usd"],
        ratio,
        scenario.ageing.pack_usd_per_kwh,
    )


def break_even_table(found: Mapping[str, Worth]) -> pd.DataFrame:
    """One row per strategy: what V2G brings, costs and is worth, and where it stops paying."""
    import pandas as pd

    rows = [
        {
            "strategy": name,
            "v2g_mwh": worth.v2g_mwh,
            "sale_usd": worth.sale_ratio * worth.sold_usd - worth.taken_usd,
            "more_purchase_usd": worth.purchase_usd,
            "missing_usd": worth.missing_usd,
            "more_ageing_usd": worth.pack_usd_per_kwh * worth.wear_usd,
            "worth_usd": worth.at(),
            "least_sale_ratio": worth.least_sale_ratio,
            "most_pack_usd_per_kwh": worth.most_pack_usd_per_kwh,
            **worth.kpis,
        }
        for name, worth in found.items()
    ]
    return pd.DataFrame(rows)

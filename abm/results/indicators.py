"""The indicators (KPIs) of a run: one table that names, units, digits and meanings come from.

What a run computes stands in `abm.results.kpis`, `emergence` and `city`; which of it has a mean,
how the feeders of a city make one, what `compare` shows and what docs/kpis.md says stands here.
Adding an indicator is a row in indicators.csv and a function there; a test holds the two together.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Indicator:
    """One KPI: a row of indicators.csv, in the order of docs/kpis.md.

    section: of that page. unit: "-" for none. digits: after the decimal point, where a person reads
    it. meaning: for that page. mean: whether a mean over replications says anything; hours of the
    day, buses and lines have none. count: whether it counts events, so that its interval is that of
    a count and never below 0. city: how the KPI of all feeders follows from theirs: sum,
    largest, smallest; empty where it is worked out from all EVs or the summed demand. compared: its
    place among the columns of `compare`, 0 for none. label: on figures and in tables of ensembles.
    """

    section: str
    name: str
    unit: str
    digits: int
    meaning: str
    mean: bool
    count: bool
    city: str
    compared: int
    label: str


def _read() -> Iterator[Indicator]:
    with Path(__file__).with_name("indicators.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield Indicator(
                row["section"],
                row["name"],
                row["unit"],
                int(row["digits"]),
                row["meaning"],
                mean=row["mean"] == "yes",
                count=row["count"] == "yes",
                city=row["city"],
                compared=int(row["compared"] or 0),
                label=row["label"],
            )


INDICATORS = {row.name: row for row in _read()}
# Words for KPIs of the user's own that this process has met, by name; the last one counts.
OWN: dict[str, Indicator] = {}
# Names that a person may type for a KPI.
ALIASES = {
    "peak": "peak_15min_mw",
    "hourly_peak": "system_peak_mw",
    "voltage": "min_vm_pu",
    "cost": "net_cost_usd",
    "loss": "loss_energy_mwh",
    "energy": "feeder_energy_mwh",
    "coincidence": "coincidence_factor",
    "sync": "synchronisation",
    "oscillation": "oscillation_amplitude_mw",
    "switches": "mode_switches_per_ev",
    "cycles": "equivalent_full_cycles_per_ev",
    "fairness": "fairness_unmet_evs",
    "benefit": "benefit_usd",
}


def indicator(name: str) -> Indicator | None:
    """The row of a KPI, of the user's own too; None where there is none."""
    return INDICATORS.get(name) or OWN.get(name)


def own_of(names: Iterable[str]) -> list[str]:
    """Those of some KPIs that are of the user's own."""
    return [name for name in names if name not in INDICATORS]


def with_mean() -> tuple[str, ...]:
    """KPIs of which a mean over replications says something."""
    return tuple(row.name for row in INDICATORS.values() if row.mean)


def of_runs() -> tuple[str, ...]:
    """KPIs that every run has."""
    return tuple(row.name for row in INDICATORS.values() if row.section != "Only in a city")


def is_count(name: str) -> bool:
    """Whether a KPI counts events."""
    row = INDICATORS.get(name)
    return row is not None and row.count


def of_city(how: Literal["sum", "largest", "smallest"]) -> tuple[str, ...]:
    """KPIs that a city makes of those of its feeders in this way."""
    return tuple(row.name for row in INDICATORS.values() if row.city == how)


def compared() -> tuple[str, ...]:
    """The columns of `compare`, in their order."""
    rows = sorted(INDICATORS.values(), key=lambda row: row.compared)
    return tuple(row.name for row in rows if row.compared)


def kpi_label(name: str, flow_min: Collection[int] = ()) -> str:
    """What a figure calls a KPI; its name where it has no other.

    flow_min: interval of the load flows, min, or several; what comes of them says its grain.
    """
    row = indicator(name)
    label = row.label if row is not None and row.label else name
    # A bus or a clock time is no mean of anything.
    if not flow_min or not is_of_load_flows(name) or (row is not None and not row.mean):
        return label
    text, bracket, unit = label.partition(" (")
    return f"{text}, {grain_of(*flow_min)}{bracket}{unit}"


def is_of_load_flows(name: str) -> bool:
    """Whether a KPI comes of load flows, so that it has their grain: voltage, loss, loading."""
    row = indicator(name)
    return row is not None and (
        row.section == "Load flow" or name.startswith(("vm_", "line_", "transformer_"))
    )


def grain_of(*flow_min: int) -> str:
    """What voltages, losses and loadings are means over, in words; minutes of the load flows."""
    words = ["hourly" if minutes == 60 else f"{minutes} min" for minutes in sorted({*flow_min})]
    return " and ".join(words) + " means"


def mean_digits(name: str) -> int:
    """Digits of a mean: a mean of whole numbers is none."""
    row = indicator(name)
    return 3 if row is None else row.digits or 2


def page(text: str) -> str:
    """docs/kpis.md with the table of each section as it is here; the prose between them stays."""
    for section in dict.fromkeys(row.section for row in INDICATORS.values()):
        table = "\n".join(_table(section))
        heading = re.escape(f"## {section}\n")
        # The first table after the heading.
        pattern = rf"({heading}(?:(?!\n\| ).)*\n)((?:\|[^\n]*\n)+)"
        match = re.search(pattern, text, flags=re.S)
        if match is None:
            raise ValueError(f"docs/kpis.md has no table under {section!r}")
        text = f"{text[: match.start(2)]}{table}\n{text[match.end(2) :]}"
    return text


def _table(section: str) -> Iterator[str]:
    yield "| KPI | Unit | Definition |"
    yield "| --- | --- | --- |"
    for row in INDICATORS.values():
        if row.section == section:
            yield f"| `{row.name}` | {row.unit} | {row.meaning} |"


def main() -> None:
    """Write the tables of docs/kpis.md in the working folder: python -m abm.results.indicators."""
    path = Path("docs/kpis.md")
    path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

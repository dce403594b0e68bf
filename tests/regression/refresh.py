"""Rewrite baseline.json: the KPIs of the paper's scenarios under every strategy, seed 1.

    python tests/regression/refresh.py

Run it when results are meant to change, read the difference (`git diff tests/regression`), and say
in CHANGELOG.md what changed and why.
"""

import json
import sys
from pathlib import Path

BASELINE = Path(__file__).with_name("baseline.json")
SCENARIOS = ("paper", "paper_balanced")
# Rounding of the load flow, other on every machine.
NOISE = {"max_mismatch_mva", "energy_balance_error_kwh"}


def kpis(scenario: str, strategy: str) -> dict:
    from abm import Scenario, V2GModel

    studied = Scenario.load(scenario).override(strategy=strategy, seed=1)
    found = V2GModel(studied).run().results.kpis
    return {name: value for name, value in found.items() if name not in NOISE}


def main() -> None:
    from abm.scenario.names import STRATEGIES

    found = {
        scenario: {strategy: kpis(scenario, strategy) for strategy in STRATEGIES}
        for scenario in SCENARIOS
    }
    BASELINE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"written to {BASELINE}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main()

"""What a type checker has to find: one misspelt attribute, or one wrong object, in each line."""

from abm import EV, DayPlan, Results, Scenario, V2GModel, bound, compare, montecarlo, run

model = V2GModel("paper")
print(model.minut)  # type: ignore[attr-defined]
print(model.evs[0].socc)  # type: ignore[attr-defined]
print(model.evs[0].rpz.wating)  # type: ignore[attr-defined]
print(model.zones[0].pluged)  # type: ignore[attr-defined]
print(model.grid.feder)  # type: ignore[attr-defined]
print(model.home.rul)  # type: ignore[attr-defined]
print(model.fleet.socs)  # type: ignore[attr-defined]
print(model.broadcast.demand_kw)  # type: ignore[attr-defined]
print(model.results.kpi)  # type: ignore[attr-defined]
print(model.fork().hour)  # type: ignore[attr-defined]
model.evs[0].p_kw + "kW"  # type: ignore[operator]
V2GModel("paper", rule=3)  # type: ignore[arg-type]
Scenario().with_objects(rul=None)  # type: ignore[call-arg]
run("paper", strateg="evms")  # type: ignore[call-arg]
run("paper", seed="seven")  # type: ignore[arg-type]
compare("paper", kpi={})  # type: ignore[call-arg]
bound("paper", objective="peek")  # type: ignore[arg-type]
print(montecarlo("paper").tabels)  # type: ignore[attr-defined]


class Hasty(EV):
    """An EV with a typing error in it."""

    def decide(self) -> int:
        """A mode."""
        return int(self.soc_targt > self.soc)  # type: ignore[attr-defined]


def plan(plan: DayPlan) -> None:
    """A behaviour with one."""
    plan.arival_min += 1.0  # type: ignore[attr-defined]


def kpi(results: Results) -> float:
    """A KPI with one."""
    return float(results.total_kw.max())  # type: ignore[attr-defined]


def evs(model: V2GModel) -> list[float]:
    """All EVs, as Mesa has them."""
    return [ev.departure for ev in model.agents_by_type[EV]]  # type: ignore[attr-defined]

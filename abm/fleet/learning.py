"""Owners who learn: whether to take part in V2G follows what it was seen to bring.

Every day each owner sees its own benefit and those of its neighbours on a graph, and keeps two
beliefs: what a day brings that takes part, and one that does not. It takes part the next day when
the difference of the two is above its own hassle. Nobody sees more than that, so adoption spreads
or collapses through the graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from abm.equations import BoolArray, FloatArray
from abm.equations.economics import Columns, financial_benefit, stay_reference_cost
from abm.fleet.fleet import Fleet
from abm.fleet.owners import draw_quantity
from abm.fleet.population import Population
from abm.fleet.stays import stream
from abm.scenario import Scenario
from abm.scenario.owners import Learning


class LearningOwners:
    """Beliefs of the n owners of a population; arrays in the order of its table of stays.

    belief_with, belief_without: $ a day with and without V2G, NaN until seen. hassle_usd: what the
    difference has to exceed. neighbours: who sees whom, (n, n), no edge between feeders.
    """

    def __init__(self, population: Population) -> None:
        self.population = population
        self.spec: Learning = population.scenario.owners.learning
        self.neighbours = neighbours_of(population)
        self.hassle_usd = draw_quantity(population.uniform("hassle"), self.spec.hassle_usd)
        self.belief_with: FloatArray = np.full(population.n, np.nan)
        self.belief_without: FloatArray = np.full(population.n, np.nan)
        # What the owners have settled on; a trial of the opposite lasts one day.
        self.settled: BoolArray = population.participates.copy()

    def after(self, day: int, seen: BoolArray, v2g: BoolArray, benefit: FloatArray) -> BoolArray:
        """Who takes part on the day after `day`, (n,).

        seen: who plugged in, and so has a benefit to show. v2g: who took part. benefit: of the day,
        $.
        """
        self._update(self.belief_with, seen & v2g, benefit)
        self._update(self.belief_without, seen & ~v2g, benefit)
        gain = self.belief_with - self.belief_without
        # Who knows only one of the two keeps to what it does.
        self.settled = np.where(np.isnan(gain), self.settled, gain > self.hassle_usd)
        if self.spec.trial_probability == 0.0:
            return self.settled.copy()
        trial = self.population.uniform("trial", day + 1) < self.spec.trial_probability
        return np.asarray(self.settled ^ trial)

    def _update(self, belief: FloatArray, shown: BoolArray, benefit: FloatArray) -> None:
        """Move a belief towards the mean of what an owner and its neighbours have seen today."""
        weight = shown.astype(np.float64)
        value = np.where(shown, benefit, 0.0)
        own = self.spec.own_weight
        total = own * value + self.neighbours @ value
        number = own * weight + self.neighbours @ weight
        known = number > 0.0
        today = total[known] / number[known]
        before = belief[known]
        memory = np.where(np.isnan(before), 0.0, self.spec.memory)
        belief[known] = memory * np.where(np.isnan(before), 0.0, before) + (1.0 - memory) * today


def neighbours_of(population: Population) -> sparse.csr_array:
    """Adjacency of all owners, (n, n), feeder by feeder along the diagonal."""
    blocks = [_feeder_block(population, seed) for seed in population.seeds]
    if not blocks or population.n == 0:
        return sparse.csr_array((population.n, population.n))
    return sparse.csr_array(sparse.block_diag(blocks, format="csr"))


def _feeder_block(population: Population, seed: int) -> sparse.csr_array:
    spec, n = population.scenario.owners.learning, population.per_feeder
    if spec.graph == "zone":
        per_zone = population.scenario.fleet.evs_per_zone
        table = population.scenario.inputs.sessions
        if table is not None:
            raise AssertionError("learning needs several days, which sessions do not have")
        zones = range(population.n_zones)
        parts = [_adjacency(_graph(spec, per_zone, _number(seed, zone))) for zone in zones]
        return sparse.csr_array(sparse.block_diag(parts, format="csr"))
    if spec.graph == "edges":
        edges = population.scenario.inputs.edges
        if edges is None:
            raise AssertionError("edges were not read")
        a, b = edges[:, 0], edges[:, 1]
        ones = np.ones(2 * len(a))
        ends = np.concatenate([a, b]), np.concatenate([b, a])
        return sparse.csr_array((ones, ends), shape=(n, n))
    return _adjacency(_graph(spec, n, _number(seed, 0)))


def _number(seed: int, zone: int) -> int:
    """A seed for networkx, which takes whole numbers."""
    return int(stream(seed, "graph", 0, zone).integers(2**31))


def _graph(spec: Learning, n: int, seed: int) -> Any:
    import networkx as nx

    degree = min(spec.degree - spec.degree % 2, max(n - 1, 0))
    if spec.graph == "alone" or degree < 1:
        return nx.empty_graph(n)
    if degree == n - 1:
        return nx.complete_graph(n)
    if spec.graph == "barabasi_albert":
        # Each newcomer brings half of the edges that an owner has in the mean.
        return nx.barabasi_albert_graph(n, max(degree // 2, 1), seed=seed)
    return nx.watts_strogatz_graph(n, degree, spec.rewiring, seed=seed)


def _adjacency(graph: Any) -> sparse.csr_array:
    n = graph.number_of_nodes()
    edges = np.array(sorted(tuple(sorted(edge)) for edge in graph.edges), dtype=np.int64)
    a, b = edges.reshape(-1, 2).T
    ones = np.ones(2 * len(a))
    ends = np.concatenate([a, b]), np.concatenate([b, a])
    return sparse.csr_array((ones, ends), shape=(n, n))


def stay_benefit(fleet: Fleet, stays: Columns, price: FloatArray, scenario: Scenario) -> FloatArray:
    """What a day has brought each owner against charging at once, as the owner counts it, (n,) [$].

    Eq. (22) for one EV, less what is counted for energy missing on departure and for wear. stays:
    columns of the day in the fleet's order of rows. price: of each hour of the horizon.
    """
    spec = scenario.owners.learning
    evs = {name: getattr(fleet, name) for name in ("capacity_kwh", "efficiency", "p_max_kw")}
    reference = stay_reference_cost(price, stays, evs, scenario.requirement)
    benefit = financial_benefit(reference, stays["purchase_usd"], stays["sale_usd"])
    missing = np.maximum(stays["soc_target"] - stays["soc_departure"], 0.0) * fleet.capacity_kwh
    missing = np.where(stays["arrived"], missing, 0.0)
    wear = spec.wear_usd_per_kwh * stays["discharged_kwh"]
    return np.asarray(benefit - spec.unmet_usd_per_kwh * missing - wear)

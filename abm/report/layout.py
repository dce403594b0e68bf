"""Where the parts of a feeder stand in a picture: on a map by coordinates, or in a tree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abm.equations import BoolArray, FloatArray, IntArray
from abm.grid import Feeder
from abm.grid.phase_feeder import ThreePhaseFeeder
from abm.scenario.phase_values import PhaseValues

# Coordinates within this of each other are degrees, where they could be.
_DEGREES = 10.0
# Of the buses as many have to have a place for a map; the others stand by a neighbour.
_PLACED = 0.5
# How far apart homes at one bus stand, as a part of the picture.
_ASIDE = 0.008


@dataclass(frozen=True, eq=False)
class Layout:
    """A feeder as a drawing: where its electrical buses, lines and zones are.

    x, y: float64 [B], places of the electrical buses, to the right and upwards. is_map: whether
    these are coordinates; else a tree from the source. aspect: how long a unit of y is in units of
    x, 1 but for degrees; in a tree the two may be stretched at will.
    ways: of each line its way as [points, 2], in the order of the feeder's lines. joins: the same
    of transformers and switches.
    bus_names: of the electrical buses. at: int64 [n], the electrical bus of each position of the
    feeder's bus axis (of a three-phase feeder its homes); load_x, load_y: float64 [n], where these
    are drawn: homes at one bus stand side by side. slack: int64, buses that are fed.
    transformer_x, transformer_y: float64 [T], in the order of their names; NaN where not known.
    zones: of each zone the positions of the bus axis that belong to it.
    """

    x: FloatArray
    y: FloatArray
    is_map: bool
    aspect: float
    ways: tuple[FloatArray, ...]
    joins: tuple[FloatArray, ...]
    bus_names: tuple[str, ...]
    at: IntArray
    load_x: FloatArray
    load_y: FloatArray
    slack: IntArray
    transformer_x: FloatArray
    transformer_y: FloatArray
    zones: tuple[IntArray, ...]


def feeder_layout(feeder: Feeder) -> Layout:
    """Where everything of a feeder is drawn; coordinates where it has them, else a tree."""
    pairs = np.column_stack([feeder.line_from, feeder.line_to])
    if isinstance(feeder, ThreePhaseFeeder):
        # In a tree every line is a step.
        placed = place(feeder.phases, np.ones(len(feeder.phases.line)))
        places, is_map, of_tree = placed.places, placed.is_map, placed.tree[: len(pairs)]
        names, at = tuple(map(str, feeder.phases.bus)), feeder.phases.home_bus
        zones = feeder.homes_of_zone
    else:
        places, is_map = layout(feeder)
        tree = _parents(feeder)
        of_tree = np.array(
            [tree.get(a) == b or tree.get(b) == a for a, b in pairs.tolist()], dtype=np.bool_
        )
        names, at = feeder.bus_names, np.arange(feeder.n_bus)
        zones = tuple(np.array([bus]) for bus in feeder.zone_bus)
    ways = tuple(
        way(places[pair], is_map, bool(tree)) for pair, tree in zip(pairs, of_tree, strict=True)
    )
    others = [(a, b, key) for a, b, key in feeder.connections if key[0] != "line"]
    joins = tuple(way(places[[a, b]], is_map) for a, b, _ in others)
    middle = {key: j[-2:].mean(axis=0) for j, (_, _, key) in zip(joins, others, strict=True)}
    nowhere = np.full(2, np.nan)
    transformers = np.array(
        [middle.get(key, nowhere) for key in feeder.network.transformers.elements]
    ).reshape(-1, 2)
    load = side_by_side(places, at)
    return Layout(
        x=places[:, 0],
        y=places[:, 1],
        is_map=is_map,
        aspect=aspect_of(places) if is_map else 1.0,
        ways=ways,
        joins=joins,
        bus_names=names,
        at=at,
        load_x=load[:, 0],
        load_y=load[:, 1],
        slack=feeder.slack_buses,
        transformer_x=transformers[:, 0],
        transformer_y=transformers[:, 1],
        zones=zones,
    )


def aspect_of(places: FloatArray) -> float:
    """How long a unit to the north is in units to the east: 1, more where these are degrees."""
    span = np.ptp(places, axis=0)
    degrees = np.abs(places).max() <= 180.0 and span.max() < _DEGREES and (places % 1).any()
    middle = np.radians(np.clip(places[:, 1].mean(), -80.0, 80.0))
    return float(1.0 / np.cos(middle)) if degrees else 1.0


def side_by_side(places: FloatArray, at: IntArray) -> FloatArray:
    """Places of what hangs at these buses, [n, 2]: what shares a bus side by side."""
    found = places[at].copy()
    _, group, count = np.unique(at, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    first = np.cumsum(count) - count
    number = np.empty(len(at), dtype=np.int64)
    number[order] = np.arange(len(at)) - first[group[order]]
    found[:, 0] += _ASIDE * np.ptp(places[:, 0]) * (number - (count[group] - 1) / 2.0)
    return found


# --- feeders of one line a connection ----------------------------------------------------------


def layout(feeder: Feeder) -> tuple[FloatArray, bool]:
    """Place of each bus, [n_bus, 2], and whether it is one of a map.

    Coordinates where every bus has some and most differ; else the tree from the source: to the
    right by steps, the largest branch straight on, others below.
    """
    places = np.column_stack([feeder.labels.x, feeder.labels.y]) if len(feeder.labels.x) else None
    if places is not None and np.isfinite(places).all():
        different = len(np.unique(places, axis=0))
        if different > max(2, feeder.n_bus // 2):
            return places.astype(np.float64), True
    return _branches(feeder), False


def _parents(feeder: Feeder) -> dict[int, int]:
    """What feeds each bus that is not fed itself, source by source, in the order of the walk."""
    import networkx as nx

    found: dict[int, int] = {}
    seen: set[int] = set()
    graph = nx.Graph(feeder.graph)
    for slack in map(int, feeder.slack_buses):
        if slack not in seen:
            parents = {below: above for above, below in nx.bfs_edges(graph, slack)}
            found |= parents
            seen.update((slack, *parents))
    return found


def _branches(feeder: Feeder) -> FloatArray:
    """Places of a tree: a row for each branch, a step to the right for each connection."""
    places = np.zeros((feeder.n_bus, 2))
    parent = _parents(feeder)
    below: dict[int, list[int]] = {}
    for bus, above in parent.items():
        below.setdefault(above, []).append(bus)
    height: dict[int, int] = {}
    for bus, above in reversed(parent.items()):
        height[above] = max(height.get(above, 0), height.get(bus, 0) + 1)
    row = 0.0
    for slack in dict.fromkeys(map(int, feeder.slack_buses)):
        if slack in parent:
            continue
        # What branches off last stands nearest, so that no two lines cross.
        waiting = [slack]
        while waiting:
            bus = waiting.pop()
            trunk = [bus]
            while trunk[-1] in below:
                trunk.append(max(below[trunk[-1]], key=lambda one: (height.get(one, 0), -one)))
            first = places[parent[bus], 0] + 1.0 if bus in parent else 0.0
            on_trunk = set(trunk)
            for step, one in enumerate(trunk):
                places[one] = (first + step, -row)
            row += 1.0
            waiting += [
                one
                for place in trunk
                for one in sorted(below.get(place, ()), reverse=True)
                if one not in on_trunk
            ]
    return places


def way(pair: FloatArray, is_map: bool, of_tree: bool = True) -> FloatArray:
    """A line between two buses: straight on a map; in a tree down, then to the right.

    What is not of the tree is an arc, so that it does not run over other buses.
    """
    (x0, y0), (x1, y1) = pair
    if is_map or (of_tree and y0 == y1):
        return pair
    if not of_tree:
        along = np.linspace(0.0, 1.0, 25)[:, None]
        bulge = 0.35 * 4.0 * along * (1.0 - along)
        aside = bulge * ((0.0, -1.0) if y0 == y1 else (1.0, 0.0))
        return np.asarray(pair[0] + along * (pair[1] - pair[0]) + aside)
    corner = (min(x0, x1), y1 if x0 < x1 else y0)
    return np.array([(x0, y0), corner, (x1, y1)])


# --- feeders with three phases -----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Placed:
    """Where things are. places: [B, 2]. is_map: whether they are of a map. tree: edges by which
    each bus is reached, true [L + X], lines before transformers. reached: bool [B].
    """

    places: FloatArray
    is_map: bool
    tree: BoolArray


def place(values: PhaseValues, length_m: FloatArray) -> Placed:
    """Coordinates where most buses have some and differ; else the tree from the source.

    In a tree a bus stands at its way from the source in metres, to the right, and in the order of a
    walk along the branches, downwards.
    """
    edges = np.concatenate(
        [
            np.column_stack([values.line_from, values.line_to]),
            np.column_stack([values.transformer_from, values.transformer_to]),
        ]
    )
    metres = np.concatenate([length_m, np.zeros(len(values.transformer))])
    parent, by_edge, order = _tree(values, edges)
    tree = np.zeros(len(edges), dtype=np.bool_)
    tree[by_edge[by_edge >= 0]] = True
    places = np.column_stack([values.x, values.y])
    known = np.asarray(np.isfinite(places).all(axis=1))
    different = len(np.unique(places[known], axis=0))
    if known.mean() >= _PLACED and different > max(2, len(values.bus) // 4):
        # What has no place of its own stands by what feeds it, or what it feeds.
        for bus in order[::-1]:
            if known[bus] and parent[bus] >= 0 and not known[parent[bus]]:
                places[parent[bus]], known[parent[bus]] = places[bus], True
        for bus in order:
            if not known[bus] and parent[bus] >= 0:
                places[bus], known[bus] = places[parent[bus]], True
        return Placed(places, True, tree)
    return Placed(_rows(parent, by_edge, order, metres), False, tree)


def _tree(values: PhaseValues, edges: IntArray) -> tuple[IntArray, IntArray, list[int]]:
    """Of each bus what feeds it and by which edge, -1 for the source; and the order of the walk."""
    beside: list[list[tuple[int, int]]] = [[] for _ in values.bus]
    for edge, (one, other) in enumerate(edges.tolist()):
        beside[one].append((other, edge))
        beside[other].append((one, edge))
    parent = np.full(len(values.bus), -1, dtype=np.int64)
    by_edge = np.full(len(values.bus), -1, dtype=np.int64)
    order = [values.source_bus]
    seen = {values.source_bus}
    for bus in order:
        for other, edge in beside[bus]:
            if other not in seen:
                seen.add(other)
                parent[other], by_edge[other] = bus, edge
                order.append(other)
    return parent, by_edge, order


def _rows(parent: IntArray, by_edge: IntArray, order: list[int], metres: FloatArray) -> FloatArray:
    """Places of a tree: to the right by metres, a row for each end of a branch."""
    n = len(parent)
    places = np.zeros((n, 2))
    below: list[list[int]] = [[] for _ in range(n)]
    ends = np.zeros(n, dtype=np.int64)
    for bus in order[1:]:
        places[bus, 0] = places[parent[bus], 0] + metres[by_edge[bus]]
        below[parent[bus]].append(bus)
    for bus in order[::-1]:
        ends[bus] = max(1, sum(int(ends[one]) for one in below[bus]))
    first = np.zeros(n, dtype=np.int64)
    for bus in order:
        row = int(first[bus])
        # The largest branch straight on, others below it.
        for one in sorted(below[bus], key=lambda one: (-int(ends[one]), one)):
            first[one] = row
            row += int(ends[one])
        places[bus, 1] = -float(first[bus])
    return places

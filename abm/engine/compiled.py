"""`abm.engine.walk.advance`, `abm.engine.look.look` and `abm.control.level.levels` by numba.

The functions of the equations and of the hour stay what they are in Python; numba compiles them all
into one, and those of the level and of the look into others. What it compiled is kept in a folder
whose name is a hash of their sources, so that a change of any of them is a folder of its own,
whichever file it was made in.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, cast

import numba
import numba.core.config
from numba.extending import overload

from abm.cache import code_folder
from abm.control import level
from abm.engine import admit, arrays, hour, look, set_points, split, walk
from abm.equations import admission, battery, switching

MODULES = (
    battery, switching, admission, arrays, admit, hour, split, set_points, walk, look, level
)  # fmt: skip
# numba reads its settings from this module, which has no names before it is imported.
CONFIG: Any = numba.core.config
Compiled: TypeAlias = Callable[..., Any]
Roots: TypeAlias = tuple[Compiled, Compiled, Compiled]
OPTIONS: Any = {"error_model": "numpy"}


def functions(module: ModuleType) -> Iterator[Callable[..., Any]]:
    """The functions that a module defines."""
    for found in vars(module).values():
        if inspect.isfunction(found) and found.__module__ == module.__name__:
            yield found


def sources_sha256(modules: tuple[ModuleType, ...] = MODULES) -> str:
    """Hash of all sources that are compiled into one, and of the columns that they are given."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update(Path(str(module.__file__)).read_bytes())
    digest.update(repr((arrays.FLEET_ARRAYS, arrays.HISTORY_ARRAYS)).encode())
    return digest.hexdigest()


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Callable[..., Any]]:
    return lambda *_, **__: function


# Two admissions and the walk of set powers are long to compile. Only the orders for them ask for
# it: the paper's own strategies need not wait for what they do not use. numba hands these its own
# types, which it has no annotations for.
def _least_laxity(n_live, room_kw, t0, ev, orders, work):  # type: ignore[no-untyped-def]
    if orders.instance_class is arrays.LeastLaxityOrders:
        return admit.least_laxity
    return lambda n_live, room_kw, t0, ev, orders, work: None


def _coordinate(k, n_live, t0, ev, orders, work):  # type: ignore[no-untyped-def]
    if orders.instance_class is arrays.CoordinatedOrders:
        return admit.coordinate
    return lambda k, n_live, t0, ev, orders, work: 0


def _walk_set(k, ev, orders, meter, work):  # type: ignore[no-untyped-def]
    if orders.instance_class is arrays.SetPointsOrders:
        return set_points.walk_set
    return lambda k, ev, orders, meter, work: 0


def compile_all() -> Roots:
    """`advance`, `levels` and `look`, compiled when called first, or taken from the cache."""
    roots = walk.advance, level.levels, look.look
    chosen = admit.least_laxity, admit.coordinate, set_points.walk_set
    for module in MODULES:
        for function in functions(module):
            if function not in (*roots, *chosen):
                overload(function, jit_options=OPTIONS, strict=False)(_as_it_is(function))
    overload(admit.least_laxity, jit_options=OPTIONS)(_least_laxity)
    overload(admit.coordinate, jit_options=OPTIONS)(_coordinate)
    overload(set_points.walk_set, jit_options=OPTIONS)(_walk_set)
    jit: Any = partial(numba.njit, nogil=True, **OPTIONS)
    before = CONFIG.CACHE_DIR
    folder = code_folder(f"hour-{sources_sha256()[:16]}", before)
    if folder is None:
        return cast(Roots, tuple(jit()(root) for root in roots))
    CONFIG.CACHE_DIR = str(folder)
    try:
        return cast(Roots, tuple(jit(cache=True)(root) for root in roots))
    finally:
        CONFIG.CACHE_DIR = before


advance, levels, look_at = compile_all()

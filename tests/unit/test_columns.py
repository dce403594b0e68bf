"""What columns.csv says of the columns of the EVs holds wherever they are named."""

from dataclasses import fields
from typing import get_args, get_type_hints

import numpy as np
import pytest
from helpers import small_paper

from abm import EV, Fleet, V2GModel
from abm.agents.ev import Column
from abm.engine.arrays import FleetColumns
from abm.fleet import DayPlan, Stays
from abm.fleet.columns import COLUMNS, PLANNED

TABLE = list(COLUMNS.values())


def dtype_of(hint):
    """float64 of NDArray[np.float64]."""
    return np.dtype(get_args(get_args(hint)[1])[0])


def arrays(annotated):
    """The arrays that a class declares, with their types."""
    hints = get_type_hints(annotated)
    return {name: dtype_of(hint) for name, hint in hints.items() if "ndarray" in str(hint)}


def test_the_fleet_declares_all_of_them_with_their_types():
    assert arrays(Fleet) == {column.name: column.dtype for column in TABLE}


def test_stays_declare_those_that_come_from_there():
    declared = arrays(Stays)
    assert declared == {column.name: column.dtype for column in TABLE if column.from_stay}
    assert {field.name for field in fields(Stays)} - set(declared) == {"names"}


def test_a_behaviour_is_given_what_it_may_write():
    declared = arrays(DayPlan)
    assert [name for name in declared if name in PLANNED] == list(PLANNED)
    assert all(declared[name] == COLUMNS[name].dtype for name in PLANNED)
    assert all(COLUMNS[name].from_stay and COLUMNS[name].begins == "day" for name in PLANNED)


def test_an_ev_shows_and_writes_what_the_table_says():
    shown = {name: found for name, found in vars(EV).items() if isinstance(found, Column)}
    by_column = {found.column.name: name for name, found in shown.items()}
    assert {column.name for column in TABLE if "ev" in column.written_by} <= set(by_column)
    ev = V2GModel(small_paper()).evs[0]
    for column, name in by_column.items():
        assert COLUMNS[column].meaning in vars(EV)[name].__doc__
        if "ev" not in COLUMNS[column].written_by:
            with pytest.raises(AttributeError, match=name):
                setattr(ev, name, 0.5)
        elif np.isfinite(COLUMNS[column].low):
            with pytest.raises(ValueError, match=f"from {COLUMNS[column].low:g}"):
                setattr(ev, name, COLUMNS[column].low - 1.0)


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_a_run_has_them_with_their_types_from_beginning_to_end(engine):
    model = V2GModel(small_paper(strategy="evms", clock={"engine": engine}, horizon={"days": 2}))

    def check():
        for column in TABLE:
            values = getattr(model.fleet, column.name)
            assert (values.dtype, values.shape) == (column.dtype, (model.fleet.n,)), column.name
            if "behaviour" in column.written_by and column.unit in ("fraction", "-"):
                assert ((values >= column.low) & (values <= column.high)).all(), column.name

    check()
    for column in TABLE:
        if column.start is not None and not column.from_stay:
            found = getattr(model.fleet, column.name)
            assert np.array_equal(found, column.filled(model.fleet.n), equal_nan=True), column.name
    model.run()
    check()
    record = model.record
    assert set(record.ev) == {column.name for column in TABLE if column.record} | {"number"}
    assert set(record.stays) == {column.name for column in TABLE if column.by_day}
    assert all(COLUMNS[name].by_day in ("state", "sum") for name in record.stays)


def test_the_compiled_hour_is_given_those_that_it_needs():
    named = set(FleetColumns._fields) & set(COLUMNS)
    assert named == {column.name for column in TABLE if column.compiled}


def test_every_column_says_what_it_is():
    assert all(column.meaning and column.unit for column in TABLE)
    assert {column.begins for column in TABLE} == {"run", "day"}
    assert set().union(*(column.written_by for column in TABLE)) == {"behaviour", "ev"}
    assert all(column.low < column.high for column in TABLE)
    # What somebody may write has bounds.
    assert all(np.isfinite(column.low) for column in TABLE if column.written_by)

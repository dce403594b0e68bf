"""docs/scenario.md and the JSON schema follow the declarations."""

from pathlib import Path

import pytest

from abm.scenario import Scenario
from abm.scenario.docs import scenario_reference, scenario_schema
from abm.scenario.feeder_table import FeederHead, GenerationRow, ImpedanceRow, LoadBusRow
from abm.scenario.fields import allowed
from abm.scenario.session_table import SessionRow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scenario.md"


def test_the_page_is_up_to_date():
    page = PAGE.read_text(encoding="utf-8")
    assert page == scenario_reference(page), "run python -m abm.scenario.docs"


def test_every_field_is_on_the_page_and_described():
    page = PAGE.read_text(encoding="utf-8")
    for section in scenario_schema()["$defs"].values():
        for name, declared in section["properties"].items():
            assert f"| `{name}` |" in page
            assert declared.get("description"), name


@pytest.mark.parametrize("model", [SessionRow, LoadBusRow, ImpedanceRow, GenerationRow, FeederHead])
def test_every_column_is_on_the_page_with_what_it_allows(model):
    page = PAGE.read_text(encoding="utf-8")
    for name, column in model.model_fields.items():
        assert f"| `{name}` | {allowed(column, null=False)} | {column.description} |" in page
        assert column.description


def test_schema_allows_a_strategy_by_name_or_mapping_and_extends():
    schema = scenario_schema()
    assert schema["properties"]["extends"]["type"] == "string"
    kinds = schema["properties"]["strategy"]["oneOf"]
    assert [sorted(kind) for kind in kinds] == [["enum", "type"], ["$ref"]]
    assert schema["additionalProperties"] is False
    assert "extends" not in Scenario.model_json_schema()["properties"]

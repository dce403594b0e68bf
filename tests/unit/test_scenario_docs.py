"""docs/scenario.md and the JSON schema follow the declarations."""

from pathlib import Path

from abm.scenario import Scenario
from abm.scenario.docs import scenario_reference, scenario_schema

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_up_to_date():
    page = (ROOT / "docs" / "scenario.md").read_text(encoding="utf-8")
    assert page == scenario_reference(), "run python -m abm.scenario.docs"


def test_every_field_is_on_the_page_and_described():
    page = scenario_reference()
    for section in scenario_schema()["$defs"].values():
        for name, declared in section["properties"].items():
            assert f"| `{name}` |" in page
            assert declared.get("description"), name


def test_schema_allows_a_strategy_by_name_or_mapping_and_extends():
    schema = scenario_schema()
    assert schema["properties"]["extends"]["type"] == "string"
    kinds = schema["properties"]["strategy"]["oneOf"]
    assert [sorted(kind) for kind in kinds] == [["enum", "type"], ["$ref"]]
    assert schema["additionalProperties"] is False
    assert "extends" not in Scenario.model_json_schema()["properties"]

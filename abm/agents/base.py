"""What agents and model have of Mesa: its classes, and a counter that goes with the model.

Mesa 3.3 has no types, so that a checker would take a misspelt attribute of an agent for one that
Mesa might have; base.pyi says what there is.
"""

from __future__ import annotations

import warnings
from typing import Any

with warnings.catch_warnings():
    # A notebook without widgets is none of Mesa's business, nor of its reader's.
    warnings.filterwarnings("ignore", "IProgress not found")
    import mesa
from mesa.agent import AgentSet

Model = mesa.Model


class AgentNumbers:
    """1, 2, 3, ...; can be copied."""

    def __init__(self) -> None:
        self.last = 0

    def __next__(self) -> int:
        self.last += 1
        return self.last


class _NumbersOfModels:
    """Where Mesa 3.3 looks for the counter of a model's agents: with the model.

    Its own table would hold every model as long as the process lives.
    """

    def __getitem__(self, model: Any) -> AgentNumbers:
        numbers: AgentNumbers = model.agent_numbers
        return numbers


class Agent(mesa.Agent):
    """A Mesa agent of a V2GModel."""

    _ids = _NumbersOfModels()


__all__ = ["Agent", "AgentNumbers", "AgentSet", "Model"]

"""Many models, one question: the paper's study, comparisons."""

from abm.study.compare import check_strategies, compare, comparison_table
from abm.study.reproduce import Reproduction, findings, reproduce, table2, table3
from abm.study.runs import Run, run_once

__all__ = [
    "Reproduction",
    "Run",
    "check_strategies",
    "compare",
    "comparison_table",
    "findings",
    "reproduce",
    "run_once",
    "table2",
    "table3",
]

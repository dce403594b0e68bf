"""Many models, one question: the paper's study, comparisons, replications."""

from abm.study.bound import Bound, optimum
from abm.study.compare import check_strategies, compare, comparison_table
from abm.study.ensemble import Ensemble
from abm.study.replications import replication_seed, simulate_batch
from abm.study.reproduce import Reproduction, findings, reproduce, table2, table3
from abm.study.runs import Run, run_once

__all__ = [
    "Bound",
    "Ensemble",
    "Reproduction",
    "Run",
    "check_strategies",
    "compare",
    "comparison_table",
    "findings",
    "optimum",
    "replication_seed",
    "reproduce",
    "run_once",
    "simulate_batch",
    "table2",
    "table3",
]

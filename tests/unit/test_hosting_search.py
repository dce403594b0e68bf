"""Which shares hosting looks at, how often, and what it makes of what it has seen."""

import numpy as np
import pytest
from scipy.stats import beta

from abm import InputError
from abm.study.hosting_limits import parse_limits
from abm.study.hosting_search import NOTHING, Seen, falls, ladder, looks, parse_shares
from abm.study.statistics import proportion_interval


def searched(probability, shares="0:1:0.25", within=0.05, replications=100, homes=100):
    """The ladder and what was seen of each rung, where replication k breaks below a probability."""
    rungs = ladder(
        parse_shares(shares), within, lambda share: round(homes * share), replications, 0.05
    )
    u = (np.arange(replications) * 0.618 + 0.01) % 1.0
    seen = {}

    def of(at):
        return seen.get(at, NOTHING)

    while wanted := rungs.wanted(of):
        for at in wanted:
            n = rungs.next_look(of(at).n)
            seen[at] = Seen(n, u[:n] < probability(rungs.shares[at]))
    return rungs, dict(sorted(seen.items()))


def test_intervals_are_those_of_clopper_and_pearson():
    low, high = proportion_interval(np.array([0, 3, 20]), np.array([20, 20, 20]))
    assert low.tolist() == pytest.approx([0.0, beta.ppf(0.025, 3, 18), 0.025 ** (1 / 20)])
    assert high.tolist() == pytest.approx([1 - 0.025 ** (1 / 20), beta.ppf(0.975, 4, 17), 1.0])
    assert [float(end) for end in proportion_interval(np.array(0), np.array(0))] == [0.0, 1.0]


def test_all_looks_together_miss_in_one_of_twenty_studies_at_most():
    """Exact, by walking over the counts: the probability that any look's interval misses."""
    for p in (0.02, 0.05, 0.3):
        rungs = ladder((0.0, 1.0), 1.0, lambda share: round(share), 100, 0.05)
        ways = {0: 1.0}
        missed, before = 0.0, 0
        for look in looks(100):
            more = look - before
            step = [
                float(x)
                for x in np.exp(
                    [
                        np.sum(np.log(np.arange(more - i + 1, more + 1)))
                        - np.sum(np.log(np.arange(1, i + 1)))
                        + i * np.log(p)
                        + (more - i) * np.log1p(-p)
                        for i in range(more + 1)
                    ]
                )
            ]
            after = {}
            for count, chance in ways.items():
                for i, part in enumerate(step):
                    after[count + i] = after.get(count + i, 0.0) + chance * part
            ways = {}
            for count, chance in after.items():
                low, high = rungs.interval(np.arange(look) < count)
                if low <= p <= high:
                    ways[count] = chance
                else:
                    missed += chance
            before = look
        assert missed <= 0.05


def test_shares_far_from_the_risk_are_left_early_and_the_crossing_is_halved():
    rungs, seen = searched(lambda share: 0.0 if share < 0.6 else 0.9)
    n = {rungs.shares[at]: one.n for at, one in seen.items()}
    assert n == {
        0.0: 100,
        0.25: 100,
        0.5: 100,
        0.5625: 100,
        0.59375: 100,
        0.625: 20,
        0.75: 20,
        1.0: 20,
    }
    last, first = rungs.crossing(seen)
    assert (rungs.shares[last], rungs.shares[first]) == (0.59375, 0.625)


def test_an_island_above_the_crossing_is_seen_and_not_taken_for_capacity():
    rungs, seen = searched(lambda share: 0.9 if 0.2 < share < 0.3 else 0.0)
    last, first = rungs.crossing(seen)
    assert rungs.shares[last] < 0.25
    assert rungs.shares[first] <= 0.25
    assert seen[rungs.grid[2]].n == seen[rungs.grid[4]].n == 100


def test_a_load_that_breaks_it_alone_leaves_no_share():
    rungs, seen = searched(lambda share: 0.5)
    assert rungs.crossing(seen) == (None, 0)
    assert all(one.n == 20 for one in seen.values())


def test_shares_with_the_same_evs_are_one():
    rungs, seen = searched(lambda share: share, shares="0:1:0.1", within=0.001, homes=4)
    assert [rungs.evs[at] for at in rungs.grid] == [0, 1, 2, 3, 4]
    assert len(seen) == 5


def test_looks_grow_with_the_replications():
    assert looks(7) == (7,)
    assert looks(100) == (20, 50, 100)
    assert looks(300) == (20, 50, 100, 200, 300)


def test_a_fall_counts_replications_that_have_both():
    lower = np.array([True] * 6 + [False] * 4)
    assert falls(lower, np.zeros(10, dtype=bool)) == (6, 0, pytest.approx(0.5**6))
    assert falls(lower, lower) == (0, 0, 1.0)
    only_lower, only_higher, chance = falls(lower, ~lower)
    assert (only_lower, only_higher) == (6, 4)
    assert chance == pytest.approx(386 / 1024)


def test_shares_are_read():
    assert parse_shares("0:1:0.25") == (0.0, 0.25, 0.5, 0.75, 1.0)
    assert parse_shares("0:1:0.3") == (0.0, 0.3, 0.6, 0.9, 1.0)
    assert parse_shares("0, 0.1,0.5") == (0.0, 0.1, 0.5)
    for wrong in ("", "0.5", "1:0:0.1", "0:1:0", "0.2,0.1", "0,-1", "a", "0:1:1e-9", "0,0.1,0.1"):
        with pytest.raises(InputError, match="--shares"):
            parse_shares(wrong)


def test_limits_are_read():
    assert parse_limits("line=80,voltage") == {
        "voltage_low": None,
        "voltage_high": None,
        "line": 80.0,
    }
    with pytest.raises(InputError) as refused:
        parse_limits("lime,voltage=0.9,line=-1,line")
    said = [str(problem) for problem in refused.value.problems]
    assert len(said) == 4
    assert "did you mean 'line'" in said[0]

"""Which shares hosting looks at, how often, and when it knows enough: no model in here.

Every share of the grid is looked at, since a probability need not rise with the share; between the
last share that keeps the risk and the first that does not, halves are tried. A share is looked at
after 20, 50, 100, 200, ... replications, and left when its interval is clear of the risk. The
intervals are Clopper and Pearson's at a level so high that all looks together miss the probability
of a share in 5 % of studies at most, so that they hold wherever a share was left.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from abm.equations import BoolArray
from abm.errors import InputError, Problem
from abm.study.statistics import LEVEL, proportion_interval

_FIRST_LOOKS = (20, 50)
# More shares than this are a slip of the keyboard.
MOST_SHARES = 1000
_ALLOWED = "LOW:HIGH:STEP or two shares or more, ascending from 0 on, such as 0:1:0.1 or 0,0.25,0.5"
_NUMBER = r"([0-9]*\.?[0-9]+)"


def parse_shares(text: str) -> tuple[float, ...]:
    """`"0:1:0.25"` -> (0.0, 0.25, 0.5, 0.75, 1.0). Raises InputError."""
    wrong = InputError([Problem("--shares", text, _ALLOWED)])
    if match := re.fullmatch(rf"\s*{_NUMBER}:{_NUMBER}:{_NUMBER}\s*", text):
        low, high, step = map(float, match.groups())
        if not (low < high and step > 0.0 and (high - low) / step < MOST_SHARES):
            raise wrong
        n = math.floor((high - low) / step + 1e-9)
        shares = [_rounded(low + i * step) for i in range(n + 1)]
        return tuple(shares if shares[-1] == high else [*shares, high])
    listed = [re.fullmatch(_NUMBER, part.strip()) for part in text.split(",")]
    shares = [_rounded(float(found[1])) for found in listed if found]
    if len(shares) < len(listed) or len(shares) < 2 or sorted(set(shares)) != shares:
        raise wrong
    return tuple(shares)


def _rounded(share: float) -> float:
    return round(share, 10)


def looks(replications: int) -> tuple[int, ...]:
    """Numbers of replications after which a share is looked at; the last is all of them."""
    found = list(_FIRST_LOOKS)
    while found[-1] < replications:
        found.append(100 if found[-1] == _FIRST_LOOKS[-1] else 2 * found[-1])
    return (*(n for n in found if n < replications), replications)


@dataclass(frozen=True, eq=False)
class Ladder:
    """Shares that may be looked at, in ascending order, and what is asked of each.

    grid: positions of those that always are. evs: EVs in all at each of them. risk: a share at
    which more replications than this part break a limit does not host its EVs.
    """

    shares: tuple[float, ...]
    grid: tuple[int, ...]
    evs: tuple[int, ...]
    replications: int
    risk: float

    @property
    def level(self) -> float:
        """Level of the interval of each look."""
        return 1.0 - (1.0 - LEVEL) / len(looks(self.replications))

    @property
    def most(self) -> int:
        """Most replications of a strategy."""
        gaps = np.diff(self.grid)
        halvings = int(np.ceil(np.log2(gaps)).max(initial=0))
        return self.replications * (len(self.grid) + halvings)

    def interval(self, bad: BoolArray) -> tuple[float, float]:
        """Of the probability, where these replications broke a limit or did not."""
        low, high = proportion_interval(np.array(bad.sum()), np.array(len(bad)), self.level)
        return float(low), float(high)

    def done(self, seen: Seen) -> bool:
        """Whether a share needs no more replications."""
        low, high = self.interval(seen.bad)
        return seen.n >= self.replications or low > self.risk or high <= self.risk

    def next_look(self, n: int) -> int:
        """How many replications to have after the next look, where there are n."""
        return next(look for look in looks(self.replications) if look > n)

    def wanted(self, seen: Callable[[int], Seen]) -> list[int]:
        """Positions that need another look; none where all is known that was asked for."""
        here = sorted({*self.grid, *self.looked_at(seen)})
        open_ = [at for at in here if not self.done(seen(at))]
        if open_:
            return open_
        last, first = self.crossing({at: seen(at) for at in here})
        if last is None or first is None:
            return []
        between = [
            at for at in range(last + 1, first) if self.evs[last] < self.evs[at] < self.evs[first]
        ]
        return between[len(between) // 2 : len(between) // 2 + 1]

    def looked_at(self, seen: Callable[[int], Seen]) -> list[int]:
        """Positions with any replication."""
        return [at for at in range(len(self.shares)) if seen(at).n]

    def crossing(self, seen: dict[int, Seen]) -> tuple[int | None, int | None]:
        """The last position up to which all keep the risk, and the first that does not."""
        last = None
        for at in sorted(seen):
            if self.exceeds(seen[at].bad):
                return last, at
            last = at
        return last, None

    def exceeds(self, bad: BoolArray) -> bool:
        """Whether more than the risk is what was seen."""
        return len(bad) > 0 and float(bad.mean()) > self.risk


@dataclass(frozen=True, eq=False)
class Seen:
    """What is known of a share: n replications were run, bad [those without an error] tells how."""

    n: int
    bad: BoolArray


NOTHING = Seen(0, np.zeros(0, dtype=np.bool_))


def ladder(
    shares: Sequence[float],
    within: float,
    evs_at: Callable[[float], int],
    replications: int,
    risk: float,
) -> Ladder:
    """Shares of the grid, each with EVs of its own, and halves between them down to `within`."""
    rungs: list[float] = []
    grid: list[float] = []
    for share in shares:
        if not grid or evs_at(share) > evs_at(grid[-1]):
            rungs += _between(grid[-1], share, within) if grid else []
            rungs.append(share)
            grid.append(share)
    at = {share: place for place, share in enumerate(rungs)}
    evs = tuple(map(evs_at, rungs))
    return Ladder(tuple(rungs), tuple(at[share] for share in grid), evs, replications, risk)


def _between(low: float, high: float, within: float) -> Iterator[float]:
    halvings = max(math.ceil(math.log2((high - low) / within) - 1e-9), 0)
    parts = 2 ** min(halvings, 12)
    for i in range(1, parts):
        yield _rounded(low + (high - low) * i / parts)


def falls(lower: BoolArray, higher: BoolArray) -> tuple[int, int, float]:
    """Whether the same replications break a limit less often at a higher share.

    -> how many only at the lower, only at the higher, and the probability of as many of the former
    or more if both were as likely (McNemar's exact test, one-sided).
    """
    from scipy.stats import binom

    only_lower = int((lower & ~higher).sum())
    only_higher = int((higher & ~lower).sum())
    either = only_lower + only_higher
    chance = float(binom.sf(only_lower - 1, either, 0.5)) if either else 1.0
    return only_lower, only_higher, chance

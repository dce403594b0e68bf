"""Agents that are made when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar, overload

T = TypeVar("T")


class OnDemand(Sequence[T], Generic[T]):
    """A sequence of n things, each made by `make(i)` when first asked for, and kept.

    A million row views would cost four seconds and half a gigabyte that most runs never look at.
    """

    def __init__(self, n: int, make: Callable[[int], T]) -> None:
        self._n, self._make = n, make
        self._made: dict[int, T] = {}

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._n))]
        i = index + self._n if index < 0 else index
        if not 0 <= i < self._n:
            raise IndexError(f"{index}: there are {self._n}")
        if i not in self._made:
            self._made[i] = self._make(i)
        return self._made[i]

    def __iter__(self) -> Iterator[T]:
        return (self[i] for i in range(self._n))

    @property
    def complete(self) -> bool:
        """Whether all of them have been made."""
        return len(self._made) == self._n

    def __repr__(self) -> str:
        return f"<{self._n}, {len(self._made)} of them made>"

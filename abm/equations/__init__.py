"""Every equation once: battery and charger, switching, admission, economics, load flow.

Plain functions without state. Those of `battery`, `switching` and `admission` take numbers as well
as columns: numpy calls them for a whole fleet, and numba compiles the very same functions into the
loop of `abm.engine.hour`. So they hold to what means the same in both: arithmetic, comparisons,
`np.minimum`, `np.maximum`, `np.floor` and `np.logical_*`; no `np.where`, which is slow on numbers.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
ComplexArray = NDArray[np.complex128]
# A number or a column of them; columns broadcast against each other.
Values: TypeAlias = Any

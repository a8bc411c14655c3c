"""Arithmetic on vectors that several scores share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Return the cosine of two vectors, in [-1, 1]; 0 if either has length 0.

    Args:
        a: `(n,)`, any floating-point dtype; the cosine is computed in float64.
        b: `(n,)`, any floating-point dtype.

    Example:
        >>> import numpy as np
        >>> cosine(np.array([3.0, 4.0]), np.array([6.0, 8.0]))
        1.0
    """
    import numpy as np

    a, b = a.astype(np.float64), b.astype(np.float64)
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return min(1.0, max(-1.0, float(a @ b) / lengths)) if lengths else 0.0

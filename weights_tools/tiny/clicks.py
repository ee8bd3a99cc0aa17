"""F_sim, the simulated annotator (HLMAT; MODEL_SPECS 1.9): the next click corrects the deepest error."""

import numpy as np
from scipy.ndimage import distance_transform_edt


def deepest(region, clicked):
    """Depth of a region's deepest pixel, and the first such pixel (row, column); the border is outside."""
    if not region.any():
        return 0.0, (0, 0)
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    top, left = int(rows[0]), int(columns[0])
    inside = region[top : rows[-1] + 1, left : columns[-1] + 1]
    depth = distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    for row, column in clicked:
        if 0 <= row - top < inside.shape[0] and 0 <= column - left < inside.shape[1]:
            depth[row - top, column - left] = 0
    at = int(depth.argmax())
    row, column = divmod(at, inside.shape[1])
    return float(depth.flat[at]), (row + top, column + left)


def next_click(mask, target, clicked=()):
    """(row, column, positive) of the next click, or None where nothing is left to correct.

    No pixel of `clicked`, a list of (row, column), is clicked again."""
    missing, (mr, mc) = deepest(target & ~mask, clicked)
    wrong, (wr, wc) = deepest(mask & ~target, clicked)
    if missing == 0.0 and wrong == 0.0:
        return None
    return (mr, mc, True) if missing > wrong else (wr, wc, False)


def random_click(mask, target, rng):
    """As next_click, but anywhere in the error: in each of the two regions as likely as it is large."""
    error = np.flatnonzero(mask ^ target)
    if error.size == 0:
        return None
    row, column = divmod(int(rng.choice(error)), mask.shape[1])
    return row, column, bool(target[row, column])

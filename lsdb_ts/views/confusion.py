"""The confusion matrix of a classifier, drawn. Training and scoring live in ``learn``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lsdb_ts.errors import PlanError
from lsdb_ts.views.style import INK, SOFT_INK, pyplot, title


def plot_confusion(matrix: ArrayLike, labels: Sequence[str], *, heading: str = "Classification", ax: Any = None) -> Any:
    """Draw a confusion matrix: each row is a true class, its cells the share and number classified as each class.

    Parameters
    ----------
    matrix : array_like of int, shape (n, n)
        Counts; ``matrix[i, j]`` objects of the true class ``i`` were classified as ``j``.
    labels : sequence of str, length n
        Names of the classes.
    heading : str
        Title; the number of objects and the balanced accuracy (mean of the diagonal shares) are added.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
    """
    counts = np.asarray(matrix)
    n = len(labels)
    if counts.shape != (n, n):
        raise PlanError(f"a confusion matrix of shape {counts.shape} with {n} labels: need shape ({n}, {n})")
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    if ax is None:
        side = max(3.6, 0.85 * n + 1.9)
        _, ax = pyplot().subplots(figsize=(side + 0.4, side), layout="constrained")
    ax.imshow(np.nan_to_num(share), cmap="Blues", vmin=0, vmax=1, aspect="equal")
    for i in range(n):
        for j in range(n):
            _write_cell(ax, i, j, int(counts[i, j]), float(share[i, j]))
    slanted = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if max(map(len, labels), default=0) > 8 else {}
    ax.set_xticks(range(n), labels, **slanted)
    ax.set_yticks(
        range(n), [f"{label}\n({total:,})" for label, total in zip(labels, totals[:, 0].tolist(), strict=True)]
    )
    ax.set_xlabel("classified as", color=INK)
    ax.set_ylabel("true class (objects)", color=INK)
    ax.tick_params(length=0, colors=INK, labelsize=9)
    ax.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=2)
    ax.tick_params(which="minor", length=0)
    ax.spines[:].set_visible(False)
    known = totals[:, 0] > 0
    if known.any():
        note = f"{counts.sum():,} objects, balanced accuracy {np.mean(np.diag(share)[known]):.1%}"
    else:
        note = "no objects"
    title(ax, heading, note)
    return ax


def _write_cell(ax: Any, i: int, j: int, count: int, share: float) -> None:
    if not np.isfinite(share):
        ax.text(j, i, "-", ha="center", va="center", color=SOFT_INK)
        return
    ink = "white" if share > 0.55 else INK
    if count == 0:
        ax.text(j, i, "0", ha="center", va="center", color="#b6bcc6", fontsize=9)
        return
    ax.text(j, i - 0.08, f"{share:.0%}" if share >= 0.005 else "<1%", ha="center", va="center", color=ink, fontsize=11)
    ax.text(j, i + 0.24, f"{count:,}", ha="center", va="center", color=ink, fontsize=7.5)

"""Small dense linear algebra for compiled loops: Cholesky factors and the triangular systems they leave."""

from __future__ import annotations

import math

import numba

_FAST = {"contract", "reassoc", "nsz", "arcp"}


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def cholesky(A, n):  # type: ignore[no-untyped-def]
    """Replace the lower triangle of the first n rows by its Cholesky factor; tell whether it was positive definite.

    A pivot that lost more than 13 digits counts as zero.
    """
    for i in range(n):
        for j in range(i):
            value = A[i, j]
            for k in range(j):
                value -= A[i, k] * A[j, k]
            A[i, j] = value / A[j, j]
        before = A[i, i]
        value = before
        for k in range(i):
            value -= A[i, k] * A[i, k]
        if not value > 1e-13 * before:
            return False
        A[i, i] = math.sqrt(value)
    return True


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def forward(L, n, b):  # type: ignore[no-untyped-def]
    """Replace b by the solution z of L z = b."""
    for i in range(n):
        value = b[i]
        for k in range(i):
            value -= L[i, k] * b[k]
        b[i] = value / L[i, i]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def backward(L, n, b):  # type: ignore[no-untyped-def]
    """Replace b by the solution z of L' z = b."""
    for i in range(n - 1, -1, -1):
        b[i] /= L[i, i]
        for k in range(i):
            b[k] -= L[i, k] * b[i]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FAST)
def inverse(L, n, of_factor, out):  # type: ignore[no-untyped-def]
    """Fill the lower triangles of the inverse of L, and of the inverse of L L'.

    Rows are added to rows, from their first element on: such loops the compiler makes wide.
    """
    for i in range(n):
        for j in range(i):
            of_factor[i, j] = 0.0
        for k in range(i):
            factor = -L[i, k] / L[i, i]
            for j in range(k + 1):
                of_factor[i, j] += factor * of_factor[k, j]
        of_factor[i, i] = 1.0 / L[i, i]
        for j in range(i + 1):
            out[i, j] = 0.0
    for k in range(n):
        for i in range(k + 1):
            factor = of_factor[k, i]
            for j in range(i + 1):
                out[i, j] += factor * of_factor[k, j]

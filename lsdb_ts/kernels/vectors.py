"""Eight float64 that move together: a value for compiled code that names its registers.

Loops that numba vectorises by itself keep their sums in memory. Where a kernel has to hold them in registers, or to
move numbers between lanes, it is written with these. Lanes beyond the width of the machine's registers are the
compiler's business.
"""

from __future__ import annotations

import operator

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

LANES = 8
_LLVM = ir.VectorType(ir.DoubleType(), LANES)
_FAST = ("contract", "reassoc", "nsz", "arcp")


class _Vector(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Vector8")


_vector = _Vector()


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind) -> None:  # type: ignore[no-untyped-def]
        super().__init__(manager, kind, _LLVM)


def _define(operation, instruction):  # type: ignore[no-untyped-def]
    """Give two vectors an arithmetic operator, lane by lane."""

    @infer_global(operation)
    class _Typing(AbstractTemplate):
        def generic(self, args, kws):  # type: ignore[no-untyped-def]
            both = len(args) == 2 and all(isinstance(a, _Vector) for a in args)
            return signature(_vector, _vector, _vector) if both else None

    @lower_builtin(operation, _Vector, _Vector)
    def _lower(context, builder, sig, args):  # type: ignore[no-untyped-def]
        return getattr(builder, instruction)(*args, flags=_FAST)


for _operation, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define(_operation, _instruction)


def _pointer(context, builder, kind, array, place):  # type: ignore[no-untyped-def]
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [place]), _LLVM.as_pointer())


@intrinsic
def load(typing, array, place):  # type: ignore[no-untyped-def]
    """Return elements ``place`` to ``place + 7`` of a contiguous array of float64, counted as if it were flat."""

    def code(context, builder, sig, args):  # type: ignore[no-untyped-def]
        value = builder.load(_pointer(context, builder, sig.args[0], args[0], args[1]))
        value.align = 8
        return value

    return _vector(array, types.intp), code


@intrinsic
def store(typing, array, place, vector):  # type: ignore[no-untyped-def]
    """Write a vector to elements ``place`` to ``place + 7`` of a contiguous array of float64."""

    def code(context, builder, sig, args):  # type: ignore[no-untyped-def]
        builder.store(args[2], _pointer(context, builder, sig.args[0], args[0], args[1])).align = 8
        return context.get_dummy_value()

    return types.void(array, types.intp, _vector), code


@intrinsic
def splat(typing, number):  # type: ignore[no-untyped-def]
    """Return a vector of one number, a float64, in all lanes."""

    def code(context, builder, sig, args):  # type: ignore[no-untyped-def]
        nothing = ir.Constant(_LLVM, ir.Undefined)
        one = builder.insert_element(nothing, args[0], ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(one, nothing, _mask([0] * LANES))

    return _vector(types.float64), code


@intrinsic
def where_above(typing, tested, least, value):  # type: ignore[no-untyped-def]
    """Return the lanes of ``value`` where ``tested > least``, 0 elsewhere."""

    def code(context, builder, sig, args):  # type: ignore[no-untyped-def]
        above = builder.fcmp_ordered(">", args[0], args[1])
        return builder.select(above, args[2], ir.Constant(_LLVM, [0.0] * LANES))

    return _vector(_vector, _vector, _vector), code


def _mask(places):  # type: ignore[no-untyped-def]
    return ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(places))


def _shuffle(places):  # type: ignore[no-untyped-def]
    """Make the intrinsic that takes these lanes of two vectors (0-7 the first, 8-15 the second)."""

    @intrinsic
    def shuffle(typing, first, second):  # type: ignore[no-untyped-def]
        def code(context, builder, sig, args):  # type: ignore[no-untyped-def]
            return builder.shuffle_vector(args[0], args[1], _mask(places))

        return _vector(_vector, _vector), code

    return shuffle


reversed_of = _shuffle([7, 6, 5, 4, 3, 2, 1, 0])
"""``reversed_of(v, v)`` is v from its last lane to its first."""
# A matrix of 8 x 8 is transposed by exchanging single lanes, then pairs, then halves.
even_lanes, odd_lanes = _shuffle([0, 8, 2, 10, 4, 12, 6, 14]), _shuffle([1, 9, 3, 11, 5, 13, 7, 15])
even_pairs, odd_pairs = _shuffle([0, 1, 8, 9, 4, 5, 12, 13]), _shuffle([2, 3, 10, 11, 6, 7, 14, 15])
low_halves, high_halves = _shuffle([0, 1, 2, 3, 8, 9, 10, 11]), _shuffle([4, 5, 6, 7, 12, 13, 14, 15])


@numba.njit(cache=True, nogil=True)
def aligned(depth, rows, columns):  # type: ignore[no-untyped-def]
    """Return an array of zeros that begins at a cache line: a vector that lies in two lines costs twice."""
    size = depth * rows * columns
    whole = np.zeros(size + LANES)
    skipped = (-whole.ctypes.data // 8) % LANES
    return whole[skipped : skipped + size].reshape((depth, rows, columns))

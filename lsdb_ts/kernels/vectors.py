"""Eight float64 that move together: a value for compiled code that names its registers.

Loops that numba vectorises by itself keep their sums in memory. Where a kernel has to hold them in registers, or to
move numbers between lanes, it is written with these. Lanes beyond the width of the machine's registers are the
compiler's business.
"""

from __future__ import annotations

import math
import operator

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

LANES = 8
_LLVM = ir.VectorType(ir.DoubleType(), LANES)
_FOUR = ir.VectorType(ir.DoubleType(), 4)
_BITS = ir.VectorType(ir.IntType(64), LANES)
_EVEN_LANES, _ODD_LANES = (0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15)
_EVEN_PAIRS, _ODD_PAIRS = (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)
_FAST = ("contract", "reassoc", "nsz", "arcp")
_LOWEST_POWER, _HIGHEST_POWER = -708.0, 709.0
_LN2 = math.log(2.0)
_LN2_REST = 2.3190468138462996e-17
"""What ``log(2)`` is greater than the float64 nearest to it."""
_TO_WHOLE = 1.5 * 2.0**52
"""Added to a number, leaves it rounded in the last bits of the sum."""
_FRACTION_BITS, _ROOT_HALF_BITS = 52, 0x3FE6A09E667F3BCD
"""Bits of the fraction of a float64, and all bits of ``sqrt(1 / 2)``."""


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


@intrinsic
def count_within(typing, tested, most):  # type: ignore[no-untyped-def]
    """Return the number of lanes where ``tested <= most``."""

    def code(context, builder, sig, args):  # type: ignore[no-untyped-def]
        lanes = builder.bitcast(builder.fcmp_ordered("<=", args[0], args[1]), ir.IntType(LANES))
        return builder.ctpop(builder.zext(lanes, ir.IntType(64)))

    return types.int64(_vector, _vector), code


@intrinsic
def totals(typing, first, second, third, fourth):  # type: ignore[no-untyped-def]
    """Return the sums of the lanes of four vectors: single lanes are added, then pairs, then halves."""

    def code(context, builder, sig, args):  # type: ignore[no-untyped-def]
        def added(one, other, places, more):  # type: ignore[no-untyped-def]
            taken = (builder.shuffle_vector(one, other, _mask(lanes)) for lanes in (places, more))
            return builder.fadd(*taken, flags=_FAST)

        halves = [added(*args[k : k + 2], _EVEN_LANES, _ODD_LANES) for k in (0, 2)]
        whole = added(*halves, _EVEN_PAIRS, _ODD_PAIRS)
        whole = added(whole, whole, range(LANES), [4, 5, 6, 7, 0, 1, 2, 3])
        sums = [builder.extract_element(whole, ir.Constant(ir.IntType(32), lane)) for lane in range(4)]
        return context.make_tuple(builder, sig.return_type, sums)

    return types.UniTuple(types.float64, 4)(first, second, third, fourth), code


@intrinsic
def add_four(typing, array, place, first, second, third, fourth):  # type: ignore[no-untyped-def]
    """Add four float64 to elements ``place`` to ``place + 3`` of a contiguous array of float64, in one step."""

    def code(context, builder, sig, args):  # type: ignore[no-untyped-def]
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        there = builder.bitcast(builder.gep(data, [args[1]]), _FOUR.as_pointer())
        row = ir.Constant(_FOUR, ir.Undefined)
        for lane, number in enumerate(args[2:]):
            row = builder.insert_element(row, number, ir.Constant(ir.IntType(32), lane))
        before = builder.load(there)
        before.align = 8
        builder.store(builder.fadd(before, row), there).align = 8
        return context.get_dummy_value()

    return types.void(array, types.intp, *[types.float64] * 4), code


def _all(number):  # type: ignore[no-untyped-def]
    return ir.Constant(_LLVM, [number] * LANES)


def _all_bits(number):  # type: ignore[no-untyped-def]
    return ir.Constant(_BITS, [number] * LANES)


def _fma(builder, *factors_and_more):  # type: ignore[no-untyped-def]
    """Return the product of two vectors, and a third added, rounded once."""
    fused = get_or_insert_function(builder.module, ir.FunctionType(_LLVM, [_LLVM] * 3), "llvm.fma.v8f64")
    return builder.call(fused, factors_and_more)


def _series(builder, at, coefficients):  # type: ignore[no-untyped-def]
    """Return the sum of ``c_k at^k``; the coefficients are given from the highest power on."""
    value = _all(coefficients[0])
    for coefficient in coefficients[1:]:
        value = _fma(builder, value, at, _all(coefficient))
    return value


@intrinsic
def exp(typing, powers):  # type: ignore[no-untyped-def]
    """Return e to the power of each lane; powers below -708 count as this, those above 709 as that.

    ``2^k e^r`` with ``|r| <= ln(2) / 2`` and the first thirteen terms of the series of ``e^r``.
    """

    def code(context, builder, sig, args):  # type: ignore[no-untyped-def]
        low, high = _all(_LOWEST_POWER), _all(_HIGHEST_POWER)
        power = builder.select(builder.fcmp_ordered("<", args[0], low), low, args[0])
        power = builder.select(builder.fcmp_ordered(">", power, high), high, power)
        shifted = _fma(builder, power, _all(1.0 / _LN2), _all(_TO_WHOLE))
        whole = builder.fsub(shifted, _all(_TO_WHOLE))
        rest = _fma(builder, whole, _all(-_LN2_REST), _fma(builder, whole, _all(-_LN2), power))
        value = _series(builder, rest, [1.0 / math.factorial(k) for k in range(12, -1, -1)])
        exponent = builder.shl(builder.bitcast(shifted, _BITS), _all_bits(_FRACTION_BITS))
        scaled = builder.bitcast(builder.add(builder.bitcast(value, _BITS), exponent), _LLVM)
        return builder.select(builder.fcmp_unordered("uno", power, power), power, scaled)

    return _vector(_vector), code


@intrinsic
def log(typing, numbers):  # type: ignore[no-untyped-def]
    """Return the natural logarithm of each lane, a positive normal number; NaN for zero, negative numbers and NaN.

    ``k ln(2) + ln(m)`` with ``sqrt(1 / 2) <= m < sqrt(2)``, and ``ln(m) = 2 artanh(s)``, ``s = (m - 1) / (m + 1)``, by
    the first eleven terms of its series.
    """

    def code(context, builder, sig, args):  # type: ignore[no-untyped-def]
        bits, shift = builder.bitcast(args[0], _BITS), _all_bits(_FRACTION_BITS)
        exponent = builder.ashr(builder.sub(bits, _all_bits(_ROOT_HALF_BITS)), shift)
        mantissa = builder.bitcast(builder.sub(bits, builder.shl(exponent, shift)), _LLVM)
        one, whole = _all(1.0), builder.sitofp(exponent, _LLVM)
        s = builder.fdiv(builder.fsub(mantissa, one), builder.fadd(mantissa, one))
        square = builder.fmul(s, s)
        tail = _series(builder, square, [2.0 / (2 * k + 1) for k in range(10, 0, -1)])
        value = _fma(builder, builder.fmul(s, square), tail, builder.fadd(s, s))
        value = _fma(builder, whole, _all(_LN2), _fma(builder, whole, _all(_LN2_REST), value))
        return builder.select(builder.fcmp_ordered(">", args[0], _all(0.0)), value, _all(math.nan))

    return _vector(_vector), code


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
even_lanes, odd_lanes = _shuffle(_EVEN_LANES), _shuffle(_ODD_LANES)
even_pairs, odd_pairs = _shuffle(_EVEN_PAIRS), _shuffle(_ODD_PAIRS)
low_halves, high_halves = _shuffle([0, 1, 2, 3, 8, 9, 10, 11]), _shuffle([4, 5, 6, 7, 12, 13, 14, 15])


@numba.njit(cache=True, nogil=True)
def aligned(depth, rows, columns):  # type: ignore[no-untyped-def]
    """Return an array of zeros that begins at a cache line: a vector that lies in two lines costs twice."""
    size = depth * rows * columns
    whole = np.zeros(size + LANES)
    skipped = (-whole.ctypes.data // 8) % LANES
    return whole[skipped : skipped + size].reshape((depth, rows, columns))

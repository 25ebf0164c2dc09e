"""The code of a class that is not of this package, as a number: a set of features must tell when it has changed."""

from __future__ import annotations

import hashlib
import inspect
import textwrap
import types
from typing import Any

import numpy as np

_CONSTANTS = (bool, int, float, str, list, tuple, dict, np.ndarray)


def code_of(kind: type, base: type) -> str:
    """Return the sha256 over the code of a class and of its parents up to ``base``.

    To the code belong its methods and constants, and the constants and functions of its module that they name.
    """
    text: list[str] = []
    for parent in kind.__mro__:
        if parent is not base and issubclass(parent, base) and parent.__module__.partition(".")[0] != _OURS:
            members = {n: v for n, v in vars(parent).items() if not _is_made(n, v)}
            text += [f"{name} = {_text(member, set())}" for name, member in sorted(members.items())]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()


_OURS = __name__.partition(".")[0]


def _is_made(name: str, member: Any) -> bool:
    """Tell what Python and ``dataclass`` put into a class by themselves."""
    return (name.startswith("__") and not inspect.isfunction(member)) or (
        inspect.isfunction(member) and name.startswith("__") and member.__code__.co_filename == "<string>"
    )


def _text(value: Any, seen: set[int]) -> str:
    function = _function_of(value)
    if function is None:
        if isinstance(value, np.ndarray):
            return f"{value.dtype}{value.shape}{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
        return repr(value)
    if id(function) in seen:
        return function.__qualname__
    seen.add(id(function))
    try:
        written = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        written = _compiled(function.__code__)
    around = function.__globals__
    used = {
        name: _text(around[name], seen)
        for name in sorted(_names(function.__code__) & around.keys())
        if _belongs(around[name], function.__module__)
    }
    cells = [_text(cell.cell_contents, seen) for cell in function.__closure__ or () if not _is_class(cell)]
    return f"{written} {function.__defaults__} {function.__kwdefaults__} {cells} {used}"


def _function_of(value: Any) -> types.FunctionType | None:
    for way in ("fget", "func", "__func__", "py_func", "__wrapped__"):
        value = getattr(value, way, value)
    return value if isinstance(value, types.FunctionType) else None


def _is_class(cell: Any) -> bool:
    return isinstance(cell.cell_contents, type)


def _belongs(value: Any, module: str) -> bool:
    function = _function_of(value)
    return isinstance(value, _CONSTANTS) if function is None else function.__module__ == module


def _names(code: types.CodeType) -> set[str]:
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, types.CodeType)))


def _compiled(code: types.CodeType) -> str:
    """Return the text of compiled code, without the addresses in its representation."""
    inner = [_compiled(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {inner}"

"""What makes a user's function the same function again: its code, and every value it carries. Runs compare it."""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
import types
from typing import Any

import numpy as np

_CONSTANTS = (bool, int, float, str, list, tuple, dict, np.ndarray)


def name_of(function: Any) -> str:
    """Return a function's name, for people."""
    inner = getattr(function, "function", function)
    return getattr(inner, "__name__", None) or type(inner).__name__


def identify(function: Any, seen: frozenset[int] = frozenset()) -> dict[str, Any]:
    """Return what makes a function the same function again.

    Its module, name and source code, the values it carries along, and the constants and functions of its own module
    that it uses. ``seen`` holds those that are being identified already, by ``id``.
    """
    if id(function) in seen:
        return {"name": getattr(function, "__qualname__", "")}
    seen |= {id(function)}
    if hasattr(function, "identity"):
        return {"type": type(function).__name__, **function.identity()}
    if isinstance(function, functools.partial):
        carried = settled([function.args, function.keywords], seen)
        return {"type": "partial", "function": identify(function.func, seen), "values": carried}
    code = getattr(function, "__code__", None)
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = f"{code.co_code!r} {code.co_consts!r} {code.co_names!r}" if code is not None else str(settled(function))
    cells = getattr(function, "__closure__", None) or ()
    carried = [settled(cell.cell_contents, seen) for cell in cells]
    return {
        "module": getattr(function, "__module__", ""),
        "name": getattr(function, "__qualname__", type(function).__name__),
        "code": hashlib.sha256(text.encode()).hexdigest(),
        "values": [
            *carried,
            settled(getattr(function, "__defaults__", None)),
            settled(getattr(function, "__kwdefaults__", None)),
            settled(getattr(function, "__self__", None)),
        ],
        "globals": {n: settled(v, seen) for n, v in sorted(_globals_of(function).items())},
    }


def _globals_of(function: Any) -> dict[str, Any]:
    """Return the constants, and the functions of the same module, that a function's code names."""
    names: set[str] = set()
    todo = [getattr(function, "__code__", None)]
    while todo:
        code = todo.pop()
        if isinstance(code, types.CodeType):
            names.update(code.co_names)
            todo.extend(code.co_consts)
    known = getattr(function, "__globals__", {})
    module = getattr(function, "__module__", None)
    return {
        n: known[n]
        for n in names & known.keys()
        if isinstance(known[n], _CONSTANTS) or (inspect.isfunction(known[n]) and known[n].__module__ == module)
    }


def settled(value: Any, seen: frozenset[int] = frozenset()) -> Any:
    """Return a JSON form of a value that is the same in every process, and another one for another value.

    Not the text of large values: numpy and pandas leave out their middle.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [settled(v, seen) for v in value]
    if isinstance(value, dict):
        return {str(k): settled(v, seen) for k, v in value.items()}
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return [str(value.dtype), list(value.shape), content]
    if callable(value) and (hasattr(value, "__code__") or isinstance(value, functools.partial)):
        return identify(value, seen)
    try:
        return hashlib.sha256(pickle.dumps(value)).hexdigest()
    except (pickle.PicklingError, AttributeError, TypeError):
        return repr(value)

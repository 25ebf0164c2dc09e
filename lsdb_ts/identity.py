"""What makes a user's function or class the same again: its code, and every value it carries. Runs and sets compare it.

Identities of plans and of sets of features are made of it by those.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import pickle
import textwrap
import types
from typing import Any

import numpy as np

_CONSTANTS = (bool, int, float, str, list, tuple, dict, set, frozenset, np.ndarray)
_OURS = __name__.partition(".")[0]


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
    bound, function = getattr(function, "__self__", None), _written(function)
    code = getattr(function, "__code__", None)
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        text = _compiled(code) if code is not None else str(settled(function))
    cells = getattr(function, "__closure__", None) or ()
    # `super()` and `__class__` carry the class, whose code is not this function's.
    carried = [settled(c.cell_contents, seen) for c in cells if not isinstance(c.cell_contents, type)]
    return {
        "module": getattr(function, "__module__", ""),
        "name": getattr(function, "__qualname__", type(function).__name__),
        "code": hashlib.sha256(text.encode()).hexdigest(),
        "values": [
            *carried,
            settled(getattr(function, "__defaults__", None)),
            settled(getattr(function, "__kwdefaults__", None)),
            settled(bound),
        ],
        "globals": {n: settled(v, seen) for n, v in sorted(_globals_of(function).items())},
    }


def code_of(kind: type, base: type) -> str:
    """Return the sha256 over the code of a class from elsewhere, and of its parents from elsewhere up to ``base``.

    To the code belong its methods and constants, and the constants and functions of its module that they name.
    """
    text: list[Any] = []
    for parent in kind.__mro__:
        if parent is not base and issubclass(parent, base) and not is_ours(parent):
            members = {n: _written(v) for n, v in vars(parent).items() if not _is_made(n, v)}
            text += [[name, settled(member)] for name, member in sorted(members.items())]
    return hashlib.sha256(json.dumps(text, sort_keys=True).encode()).hexdigest()


def is_ours(kind: type) -> bool:
    """Tell whether a class is of this package, whose version stands for its code."""
    return kind.__module__.partition(".")[0] == _OURS


def _is_made(name: str, member: Any) -> bool:
    """Tell what Python and ``dataclass`` put into a class by themselves."""
    if not name.startswith("__"):
        return name.startswith("_abc_")
    return not inspect.isfunction(member) or member.__code__.co_filename == "<string>"


def _written(value: Any) -> Any:
    """Return the function as it was written, of a property, a method of the class, or one that numba compiles."""
    found = value
    if isinstance(found, property):
        found = found.fget
    elif isinstance(found, functools.cached_property):
        found = found.func
    elif isinstance(found, types.MethodType | classmethod | staticmethod):
        found = found.__func__
    elif hasattr(found, "cache_info"):
        found = getattr(found, "__wrapped__", found)
    found = getattr(found, "py_func", found)
    return found if inspect.isfunction(found) else value


def _compiled(code: types.CodeType) -> str:
    """Return the text of compiled code, without the addresses in its representation."""
    inner = [_compiled(c) if isinstance(c, types.CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {inner}"


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
        if isinstance(known[n], _CONSTANTS)
        or (inspect.isfunction(_written(known[n])) and known[n].__module__ == module)
    }


def settled(value: Any, seen: frozenset[int] = frozenset()) -> Any:
    """Return a JSON form of a value that is the same in every process, and another one for another value.

    Not the text of large values: numpy and pandas leave out their middle.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [settled(v, seen) for v in value]
    if isinstance(value, set | frozenset):
        return sorted((settled(v, seen) for v in value), key=json.dumps)
    if isinstance(value, dict):
        return {str(k): settled(v, seen) for k, v in value.items()}
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return [str(value.dtype), list(value.shape), content]
    if isinstance(value, functools.partial) or inspect.isfunction(_written(value)):
        return identify(value, seen)
    try:
        return hashlib.sha256(pickle.dumps(value)).hexdigest()
    except (pickle.PicklingError, AttributeError, TypeError):
        return repr(value)

"""The floors of the house: who may import whom, and what the front door may load. Results are tested elsewhere."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LIBRARIES = {"errors", "schema", "sky", "kernels", "lightcurves"}
MAY_IMPORT = {
    "errors": set(),
    "identity": set(),
    "schema": {"errors"},
    "sky": {"schema", "errors"},
    "kernels": {"sky", "errors"},
    "store": {"sky", "kernels", "schema", "errors"},
    "lightcurves": {"kernels", "schema", "errors"},
    "plan": {"identity", "sky", "store", "lightcurves", "kernels", "schema", "errors"},
    "run": {"plan", "store", "sky", "schema", "errors"},
    "features": {"identity", "lightcurves", "kernels", "schema", "errors"},
    "learn": {"features", "store", "schema", "errors"},
    "catalog": {"views", "plan", "features", "learn", "run", "store", *LIBRARIES},
    "views": {"plan", "features", "learn", "run", "store", *LIBRARIES},
    "testing": {"catalog", "views", "plan", "features", "learn", "run", "store", "lsdb_ts", *LIBRARIES},
    "lsdb_ts": {"catalog", "views", "plan", "features", "learn", "run", "store", "testing", *LIBRARIES},
    "partitioner": {"sky", "store", "schema", "kernels", "run", "errors"},
    "cli": {"lsdb_ts", "catalog", "views", "plan", "features", "learn", "run", "store", "partitioner", *LIBRARIES},
    "recipes": {"lsdb_ts", "testing", "partitioner"},
}
"""For each room, the rooms below it. `lsdb_ts` is the front door, `lsdb_ts/__init__.py`, and its public names."""

OUTSIDE_ALLOWED_ONLY_IN = {
    "dask": {"run"},
    "distributed": {"run"},
    "dask_jobqueue": {"run"},
    "matplotlib": {"views", "testing", "recipes"},
    "sklearn": {"learn"},
    "skops": {"learn"},
    "typer": {"cli"},
}
"""Libraries that have one home. Recipes are users, and may start the cluster of their choice."""

NOT_IN_LIBRARIES = {"pandas", "dask", "distributed", "hats", "matplotlib", "nested_pandas", "sklearn"}
HEAVY = ("pandas", "dask", "distributed", "astropy", "hats", "matplotlib", "sklearn", "nested_pandas", "numba")


@dataclass(frozen=True)
class Import:
    """One imported module, and where."""

    path: Path
    line: int
    module: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.module}"


def room(module: str) -> str | None:
    """Return the room a module of this project is in; None for the world outside."""
    parts = module.split(".")
    if parts[0] in {"partitioner", "recipes"}:
        return parts[0]
    if parts[0] != "lsdb_ts":
        return None
    return parts[1] if len(parts) > 1 else "lsdb_ts"


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def names_of(node: ast.AST, package: str) -> Iterator[str]:
    """Yield the modules one statement imports; `from lsdb_ts import sky` is an import of `lsdb_ts.sky`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            yield inner if is_module(inner) else base
    elif isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
        first = node.args[0] if node.args else None
        if called in {"import_module", "__import__"} and isinstance(first, ast.Constant):
            yield str(first.value)


def imports_of(path: Path) -> list[Import]:
    """Find every import of a file, at any depth: in functions, and under TYPE_CHECKING, too."""
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    nodes = ast.walk(ast.parse(path.read_text(), str(path)))
    found = (Import(path, node.lineno, module) for node in nodes for module in names_of(node, package))
    return list(dict.fromkeys(found))


def files_of(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


EVERYTHING = [i for path in files_of("lsdb_ts", "partitioner", "recipes") for i in imports_of(path)]


def home(found: Import) -> str:
    return room(module_name(found.path)) or ""


def report(wrong: list[Import]) -> str:
    return "\n".join(str(i) for i in wrong)


def test_every_room_is_on_the_plan_of_the_house():
    rooms = {room(module_name(path)) for path in files_of("lsdb_ts", "partitioner", "recipes")}
    assert rooms <= set(MAY_IMPORT)


def test_imports_point_downwards_only():
    wrong = [
        i
        for i in EVERYTHING
        if (target := room(i.module)) is not None and target != home(i) and target not in MAY_IMPORT[home(i)]
    ]
    assert not wrong, report(wrong)


def test_a_library_with_a_home_is_imported_only_there():
    wrong = [
        i
        for i in EVERYTHING
        if home(i) != "recipes" and home(i) not in OUTSIDE_ALLOWED_ONLY_IN.get(i.module.split(".")[0], {home(i)})
    ]
    assert not wrong, report(wrong)


def test_the_libraries_are_numpy_level():
    wrong = [i for i in EVERYTHING if home(i) in LIBRARIES and i.module.split(".")[0] in NOT_IN_LIBRARIES]
    assert not wrong, report(wrong)


def test_kernels_know_arrays_only():
    wrong = [i for i in EVERYTHING if home(i) == "kernels" and i.module.split(".")[0] in {"pyarrow", "astropy"}]
    assert not wrong, report(wrong)


@pytest.mark.parametrize("folder", ["tests", "benchmarks", "recipes"])
def test_nothing_in_the_house_imports_from_the_yard(folder):
    wrong = [i for i in EVERYTHING if home(i) != "recipes" and i.module.split(".")[0] == folder]
    assert not wrong, report(wrong)


def test_modules_do_not_import_in_circles():
    graph: dict[str, set[str]] = {}
    for found in EVERYTHING:
        here = module_name(found.path)
        if room(found.module) is not None and found.module != here and not here.startswith(f"{found.module}."):
            graph.setdefault(here, set()).add(found.module)
    # The front door hands out names lazily and is below nobody but users; what it points at is not a dependency.
    graph.pop("lsdb_ts", None)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_files_stay_small_enough_to_hold_one_noun():
    long = {str(path.relative_to(ROOT)): n for path in files_of("lsdb_ts", "partitioner") if (n := lines(path)) > 450}
    assert not long


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def loaded_by(code: str) -> set[str]:
    """Run code in a fresh interpreter and return which of the heavy libraries it loaded."""
    script = f"{code}\nimport json, sys\nprint('\\n' + json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_lsdb_ts_is_cheap():
    assert loaded_by("import lsdb_ts") == set()


def test_asking_the_command_line_for_help_is_cheap():
    code = """
import runpy, sys
sys.argv = ["lsdb-ts", "--help"]
try:
    runpy.run_module("lsdb_ts.cli", run_name="__main__")
except SystemExit as done:
    assert not done.code
"""
    assert loaded_by(code) & {"dask", "distributed", "hats", "matplotlib", "sklearn"} == set()

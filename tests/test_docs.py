"""Promises of the documentation: every public name is explained, the README's example runs, its commands exist."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PACKAGES = ("lsdb_ts", "partitioner")


def modules() -> list[str]:
    found = list(PACKAGES)
    for package in PACKAGES:
        walked = pkgutil.walk_packages([str(ROOT / package)], f"{package}.")
        found += [m.name for m in walked if not m.name.endswith("__main__")]
    return sorted(found)


def public_names(module) -> list[str]:
    """Return `__all__`, or else the functions and classes that are defined here and not private."""
    declared = getattr(module, "__all__", None)
    if declared is not None:
        return list(declared)
    defined = {n: v for n, v in vars(module).items() if inspect.isfunction(v) or inspect.isclass(v)}
    return [n for n, v in defined.items() if not n.startswith("_") and v.__module__ == module.__name__]


def public_methods(cls: type) -> list[str]:
    return [
        f"{cls.__name__}.{name}"
        for name, value in vars(cls).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, (property, classmethod)))
        # A method that fulfils a documented contract of its base class needs no second text.
        and not any(hasattr(base, name) for base in cls.__mro__[1:])
        and not inspect.getdoc(value)
    ]


@pytest.mark.parametrize("name", modules())
def test_every_public_name_has_a_docstring(name):
    module = importlib.import_module(name)
    silent = [] if inspect.getdoc(module) else [name]
    for public in public_names(module):
        value = getattr(module, public)
        if inspect.isfunction(value) and not inspect.getdoc(value):
            silent.append(public)
        if inspect.isclass(value):
            silent += [] if value.__doc__ else [public]
            silent += public_methods(value)
    assert not silent


def test_every_name_at_the_front_door_can_be_had():
    import lsdb_ts

    assert lsdb_ts.__all__
    assert [n for n in lsdb_ts.__all__ if not hasattr(lsdb_ts, n)] == []


def sections(text: str) -> dict[str, str]:
    """Cut a Markdown page at its headings."""
    parts = re.split(r"^#+ +(.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def examples() -> list[str]:
    found = [(h, b) for h, body in sections(README.read_text()).items() for b in python_blocks(body)]
    return [block for heading, block in found if "example" in heading.lower()]


def test_the_readme_has_an_example():
    assert examples()


@pytest.mark.parametrize("code", examples())
def test_the_example_of_the_readme_runs(code, tmp_path):
    """It stands on its own: whatever data it needs it makes itself, in the folder it is started in."""
    script = tmp_path / "example.py"
    script.write_text(f"if __name__ == '__main__':\n{re.sub('^', '    ', code, flags=re.MULTILINE)}\n")
    done = subprocess.run([sys.executable, "-W", "error", str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_the_readme_does_with_light_curves_runs_after_the_example(tmp_path):
    (curves,) = python_blocks(sections(README.read_text())["Light curves"])
    made = re.findall(r"^(\w+) = (?!objects\.curves\(\"lc\"\)  #)", curves, flags=re.MULTILINE)
    assert len(made) >= 4
    code = f"{examples()[0]}\n{curves}\nassert all(len(each.head(2)) == 2 for each in ({', '.join(made)}))\n"
    script = tmp_path / "curves.py"
    script.write_text(f"if __name__ == '__main__':\n{re.sub('^', '    ', code, flags=re.MULTILINE)}\n")
    done = subprocess.run([sys.executable, "-W", "error", str(script)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_file_the_readme_points_to_exists():
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", README.read_text())
    targets += re.findall(r'<img[^>]+src="(?!https?:)([^"]+)"', README.read_text())
    assert [t for t in targets if not (ROOT / t).exists()] == []


def commands() -> list[str]:
    import typer

    from lsdb_ts.cli import app

    return sorted(typer.main.get_command(app).commands)


@pytest.mark.parametrize("command", commands())
def test_every_command_is_in_the_readme_and_has_help(command):
    from typer.testing import CliRunner

    from lsdb_ts.cli import app

    assert f"lsdb-ts {command}" in README.read_text()
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert "Usage" in shown.output


def test_the_changelog_knows_the_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.search(rf"^## \[{re.escape(version)}\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)


def test_every_target_the_readme_names_is_in_the_makefile():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"(?<![-\w])make ([a-z]+)(?=[`\s]*(?:#|$|`))", README.read_text(), flags=re.MULTILINE))
    assert named <= targets

"""The recipes run, find what they say they find, and leave what they promise; the notebook runs to its last cell."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lsdb_ts as lt

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.py"))
DATA = Path(os.environ.get("LSDB_TS_DATA", ROOT.parent / "shared" / "data"))


def run_recipe(name, *arguments, cwd):
    """Run a recipe as a user does, from another folder, and return the finished process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "COLUMNS": "120"}
    command = [sys.executable, str(ROOT / "recipes" / name), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def numbers(text):
    return [int(n.replace(",", "")) for n in re.findall(r"\d[\d,]*", text)]


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.name)
def test_a_recipe_states_its_question_its_data_and_the_number_to_expect(path):
    text = ast.get_docstring(ast.parse(path.read_text()))
    assert all(f"\n{word}: " in text for word in ("Question", "Data", "Expected"))
    assert "--small" in text


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    return folder / "out", run_recipe("demo.py", folder / "out", "--small", "--workers", 2, cwd=folder)


def test_the_demo_ends_well_and_accounts_for_every_row(demo):
    _, done = demo
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": balances") == 3
    assert "verify: 0 faults" in done.stdout
    sources = next(line for line in done.stdout.splitlines() if line.strip().startswith("source:"))
    rows_in, nested, orphans = numbers(sources)
    assert rows_in == nested + orphans
    assert orphans > 0


def test_the_demo_finds_every_true_pair_once_the_stars_are_moved(demo):
    _, done = demo
    line = next(line for line in done.stdout.splitlines() if line.strip().startswith("moved:"))
    pairs, right, true = numbers(line)[:3]
    assert right == true
    assert pairs >= true > 100


def test_the_demo_classifies_most_unseen_objects_rightly(demo):
    _, done = demo
    share = float(re.search(r"([\d.]+)% of [\d,]+ unseen objects classified rightly", done.stdout)[1])
    assert share > 85


def test_the_demo_leaves_catalogs_a_classifier_and_three_pictures(demo):
    folder, _ = demo
    assert len(lt.open_catalog(folder / "survey")) == 1000
    classified = lt.open_catalog(folder / "classified")
    assert len(classified) == 1000
    assert {"objectId", "class", "class_probability", "p_rr_lyrae"} <= set(classified.columns)
    assert "rr_lyrae" in lt.ModelBundle.load(folder / "classifier.bundle").labels
    for name in ("sky_density", "folded_lightcurve", "confusion_matrix"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_demo_does_not_touch_a_folder_that_is_not_its_own(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    done = run_recipe("demo.py", tmp_path, "--small", cwd=tmp_path)
    assert done.returncode == 2
    assert "name another folder" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_variable_candidates_vary_and_have_their_periods(tmp_path):
    done = run_recipe("variable_candidates.py", "--small", "--out", tmp_path / "found", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found, of = numbers(re.search(r"[\d,]+ candidates among [\d,]+ objects", done.stdout)[0])
    assert 3 <= found < 0.1 * of
    assert f"{found} of {found} vary: 100.0%" in done.stdout
    assert "rr_lyrae: " in done.stdout
    assert "period to within 1 % for 100.0%" in done.stdout
    assert (tmp_path / "found" / "candidates.png").read_bytes().startswith(b"\x89PNG")
    assert {"objectId", "lc", "features_multiband"} <= set(lt.open_catalog(tmp_path / "found" / "candidates").columns)
    again = run_recipe("variable_candidates.py", "--small", "--out", tmp_path / "found", cwd=tmp_path)
    assert again.returncode == 2
    assert "name another folder" in again.stderr


def test_stripe_82_periods_are_recovered(tmp_path):
    folder = DATA / "s82_rrlyrae"
    if not folder.is_dir():
        pytest.skip(f"no Stripe 82 data in {folder}: set LSDB_TS_DATA to the folder that holds s82_rrlyrae")
    done = run_recipe("rr_lyrae_stripe82.py", folder, "--small", "--out", tmp_path / "s82", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"recovered \(.*\): (\d+) of (\d+) published periods", done.stdout)
    assert [int(n) for _, n in found] == [40] * 4
    assert min(int(n) for n, _ in found) >= 36
    assert min(float(share) for share in re.findall(r"among five ([\d.]+)", done.stdout)) > 0.9


def test_stripe_82_without_its_data_says_where_they_come_from(tmp_path):
    done = run_recipe("rr_lyrae_stripe82.py", tmp_path / "nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert "J/ApJ/708/717" in done.stderr
    assert "Traceback" not in done.stderr


def test_lensed_supernovae_are_found_and_no_unlensed_one_is(tmp_path):
    lost = run_recipe("lensed_supernovae.py", tmp_path / "nowhere", cwd=tmp_path)
    assert lost.returncode == 2
    assert "github.com/des-science/DES-SN5YR" in lost.stderr
    assert "Traceback" not in lost.stderr
    if not all((DATA / name).is_dir() for name in ("des_sn5yr_lowz_foundation", "snpcc2010_sim")):
        pytest.skip(f"no supernovae in {DATA}: set LSDB_TS_DATA to the folder that holds them")
    done = run_recipe("lensed_supernovae.py", DATA, "--small", "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^(\D.*?) +(\d+) +(\d+)$", done.stdout, re.MULTILINE)
    passed = {step: (int(lensed), int(unlensed)) for step, lensed, unlensed in found}
    assert passed["supernovae"] == (60, 60)
    known, redder = passed["all nine colours known"], passed["redder than all nine"]
    assert known[0] > 30
    assert known[1] > 45
    assert redder[0] > 0.8 * known[0]
    assert redder[1] == 0
    assert passed["the nearest is the host or lens"][0] == 60
    chosen = lt.open_catalog(tmp_path / "out" / "candidates").compute()
    assert len(chosen) == passed["redder than all nine, and so"][0] >= 10
    assert chosen["lensed"].all()
    assert (chosen["p_luminous"] > 0.9).all()
    assert (chosen["g_r_peak"] > 0.12).all()
    for name in ("colours", "candidates"):
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_the_tour_runs_from_the_first_cell_to_the_last(tmp_path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(ROOT / "recipes" / "tour.ipynb", as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code"), "commit it without outputs"
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=200, kernel_name="python3", resources=where).execute()
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in data for data in shown) == 3
    assert any("lsdb-ts" in data.get("text/html", "") for data in shown)

"""Take a simulated survey from raw tables to classified light curves.

Question: how much of it do we understand?

Data: simulated here: 20,000 objects with 1 M sources and 2 M forced sources over five years (7 classes; sky across RA 0
and around a pole), and a Gaia-like catalog of the same sky, eleven years earlier, with proper motions.

Expected: every row accounted for; every true pair found once the proper motions are applied; the period found to within
1 % for 99 % of the RR Lyrae, 97 % of the Cepheids and 78 % of the eclipsing binaries (half of it for 16 % more); 98 %
of the objects that were not trained on classified rightly.

    python recipes/demo.py [FOLDER] [--small] [--workers N]

Leaves in FOLDER (default: demo): raw/ survey/ features/ classified/ classifier.bundle and three pictures.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

import lsdb_ts as lt
import partitioner
from lsdb_ts.testing import EPOCH_JYEAR, REFERENCE_JYEAR, SimulatedSurvey, simulate_reference, simulate_survey

MARK = ".made-by-the-demo"
SEED = 42
PERIODIC = ("rr_lyrae", "cepheid", "eclipsing_binary")

console = Console(highlight=False)


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default="demo", type=Path, help="where to leave everything (demo)")
    parser.add_argument("--small", action="store_true", help="a twentieth of the objects, for a trial run")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of the Dask cluster (2)")
    options = parser.parse_args()
    if not fresh(options.folder):
        return 2
    start = time.perf_counter()
    with cluster(options.workers):
        run(options.folder, n_objects=1_000 if options.small else 20_000)
    console.print(
        f"\n[bold]Done in {time.perf_counter() - start:.0f} s.[/] Pictures and catalogs are in {options.folder}/"
    )
    return 0


def run(folder: Path, n_objects: int) -> None:
    """Go the whole way, one step after another."""
    with step("Simulate a survey and an older catalog of the same sky"):
        raw = simulate_survey(folder / "raw", n_objects, seed=SEED)
        reference = simulate_reference(raw.folder)
        truth = pq.read_table(raw.truth).to_pandas().set_index("objectId")
        say(f"{raw.n_objects:,} objects, {raw.n_sources:,} sources, {raw.n_forced_sources:,} forced sources")
        say(f"{reference.num_rows:,} stars at epoch {REFERENCE_JYEAR:.1f} with proper motions")
    with step("Repartition: raw files in, a HATS collection with margin and nested light curves out"):
        repartition(raw, folder / "survey")
    objects = lt.open_catalog(folder / "survey")
    with step("Crossmatch with the older catalog, moved to the survey's epoch"):
        crossmatch(objects, reference)
    with step("Extract features from the light curves"):
        features = objects[["objectId", "coord_ra", "coord_dec", "lc"]].features(
            lt.FeatureSet.full(period_range_days=(0.2, 100.0))
        )
        features = features.write(folder / "features")
        say(f"{len(features):,} objects, {sum(n_numbers(f) for f in features.schema)} features each")
        star = recovered_periods(features, truth)
    with step("Train a classifier on half of the objects"):
        bundle = train_on_half(features, truth)
        bundle.save(folder / "classifier.bundle")
    with step("Classify all objects, and score the half that was not trained on"):
        confusion = classify(features, bundle, truth, folder / "classified")
    with step("Draw"):
        draw(objects, star, confusion, folder)


def repartition(raw: SimulatedSurvey, out: Path) -> None:
    """Do what `lsdb-ts repartition raw/survey.toml --out survey` and `lsdb-ts verify survey` do."""
    account = partitioner.run(partitioner.Survey.read(raw.toml), out)
    for table in account.tables:
        left = f", {table.orphans:,} orphans set aside" if table.orphans else ""
        balance = "balances" if table.balances else "[red]does not balance[/]"
        say(f"{table.table}: {table.rows_in:,} rows in, {table.rows_out:,} in the {table.became}{left}: {balance}")
    for catalog in account.catalogs:
        say(
            f"{catalog.partitions} partitions, {catalog.bytes / 2**20:.0f} MiB; "
            f"margin of {catalog.margin_arcsec:g} arcsec with {catalog.margin_rows:,} rows"
        )
    report = partitioner.verify(out)
    say(f"verify: {len(report.faults)} faults")


def crossmatch(objects: lt.Catalog, reference: pa.Table) -> None:
    """Match as if nothing moved, then with the proper motions applied, and count the true pairs."""
    stars = reference.to_pandas()
    n_true = stars["true_object_id"].notna().sum()
    years = EPOCH_JYEAR - REFERENCE_JYEAR
    ra, dec = lt.propagate(stars["ra"], stars["dec"], stars["pmra"], stars["pmdec"], years)
    for when, frame in (("as it is", stars), ("moved", stars.assign(ra=ra, dec=dec))):
        gaia = lt.from_dataframe(frame, ra="ra", dec="dec", name="gaia")
        pairs = objects.crossmatch(gaia, radius_arcsec=1.0, suffixes=("", "_gaia"))
        found = pairs[["objectId", "true_object_id", "_dist_arcsec"]].compute()
        right = (found["objectId"] == found["true_object_id"]).sum()
        median = found["_dist_arcsec"].median()
        say(f"{when}: {len(found):,} pairs, {right:,} of {n_true:,} true ones, median separation {median:.3f} arcsec")


def recovered_periods(features: lt.Catalog, truth: pd.DataFrame) -> pd.Series:
    """Compare the periods found with the true ones; return the most evident RR Lyrae, to draw it."""
    numbers = {"period": "found", "period_evidence": "evidence"}
    parts = [f"features_multiband.{name}" for name in numbers]
    table = features[["objectId", "coord_ra", "coord_dec", *parts]].to_arrow(progress=False)
    multiband = table["features_multiband"].combine_chunks()
    frame = table.select(["objectId", "coord_ra", "coord_dec"]).to_pandas()
    for name, column in numbers.items():
        frame[column] = np.asarray(multiband.field(name).to_numpy(zero_copy_only=False), dtype=float)
    frame = frame.join(truth, on="objectId")
    searched = frame["found"].notna()
    say(f"{searched.sum():,} objects vary and were searched for periods")
    for kind in PERIODIC:
        mine = frame[frame["class"] == kind]
        ratio = mine["found"] / mine["period"]
        right, half = (ratio - 1).abs() < 0.01, (2 * ratio - 1).abs() < 0.01
        also = f", half of it for {half.sum():,} more" if kind == "eclipsing_binary" else ""
        say(f"{kind}: period found to within 1 % for {right.sum():,} of {len(mine):,} ({right.mean():.1%}){also}")
    found = frame[(frame["class"] == "rr_lyrae") & ((frame["found"] / frame["period"] - 1).abs() < 1e-3)]
    return found.loc[found["evidence"].idxmax()]


def train_on_half(features: lt.Catalog, truth: pd.DataFrame) -> lt.ModelBundle:
    """Train on the objects whose true class we pretend to know."""
    table = features[["objectId", *feature_columns(features)]].to_arrow(progress=False)
    known = table.filter(pa.array(is_training(table["objectId"].to_numpy())))
    bundle = lt.train(known, truth.loc[known["objectId"].to_numpy(), "class"].to_numpy(), seed=SEED)
    scores = bundle.metrics
    say(f"{known.num_rows:,} objects; of {scores['objects']:,} held out, {scores['accuracy']:.1%} right")
    say(f"calibration error {scores['ece']:.3f} (before calibrating: {scores['ece_uncalibrated']:.3f})")
    return bundle


def classify(features: lt.Catalog, bundle: lt.ModelBundle, truth: pd.DataFrame, out: Path) -> np.ndarray:
    """Write the classes of all objects; return the confusion matrix of those not trained on."""
    classified = features.classify(bundle)
    kept = ["objectId", "coord_ra", "coord_dec", "features_multiband", *(field.name for field in bundle.fields)]
    written = classified[kept].write(out)
    predicted = written[["objectId", "class"]].compute().set_index("objectId")["class"]
    say(f"{len(predicted):,} objects classified and written")
    unseen = predicted[~is_training(predicted.index.to_numpy())]
    unclassified = int(unseen.isna().sum())
    if unclassified:
        say(f"{unclassified:,} unseen objects have no features and so no class; they are left out below")
    unseen = unseen.dropna()
    true = truth.loc[unseen.index, "class"]
    accuracy = (unseen.to_numpy() == true.to_numpy()).mean()
    say(f"[bold]{accuracy:.1%}[/] of {len(unseen):,} unseen objects classified rightly")
    codes = [bundle.taxonomy.codes(labels) for labels in (true, unseen)]
    n = len(bundle.labels)
    return pd.DataFrame(
        np.bincount(codes[0] * n + codes[1], minlength=n * n).reshape(n, n), bundle.labels, bundle.labels
    )


def draw(objects: lt.Catalog, star: pd.Series, confusion: pd.DataFrame, folder: Path) -> None:
    """Leave three pictures."""
    here = objects.cone_search(star["coord_ra"], star["coord_dec"], radius_arcsec=1.0).compute(progress=False)
    curve = here.loc[(here["objectId"] == star["objectId"]).to_numpy(), "lc"].iloc[0]
    pictures = {
        "sky_density": lt.plot_sky(objects, heading="Simulated survey: density and partitions"),
        "folded_lightcurve": lt.plot_folded(curve, star["found"], heading=f"RR Lyrae {star['objectId']}"),
        "confusion_matrix": lt.plot_confusion(
            confusion.to_numpy(), list(confusion.index), heading="Objects the classifier had not seen"
        ),
    }
    for name, ax in pictures.items():
        ax.figure.savefig(folder / f"{name}.png", dpi=130)
        say(f"{folder / name}.png")


def feature_columns(features: lt.Catalog) -> list[str]:
    return [name for name in features.columns if name.startswith("features_")]


def is_training(ids: np.ndarray) -> np.ndarray:
    """Tell which half an object is in: the same at every run and in every partition."""
    return np.random.default_rng(SEED).permutation(1 << 16)[ids % (1 << 16)] % 2 == 0


def n_numbers(field: pa.Field) -> int:
    return field.type.num_fields if pa.types.is_struct(field.type) else 0


def fresh(folder: Path) -> bool:
    """Make an empty folder, taking away only what an earlier demo left; say so if there is something else in it."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            print(f"{folder} is not empty and was not made by this demo: name another folder", file=sys.stderr)
            return False
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    return True


@contextmanager
def cluster(workers: int) -> Iterator[None]:
    """Start a Dask cluster on this machine; everything computed meanwhile runs on it."""
    from distributed import Client

    quiet = {"dashboard_address": ":0", "silence_logs": logging.ERROR}
    with lt.cluster("local", n_workers=workers, **quiet) as local, Client(local):
        console.print(f"Dask cluster with {workers} worker processes")
        yield


@contextmanager
def step(title: str) -> Iterator[None]:
    """Announce a step, and say how long it took."""
    console.print(f"\n[bold]{title}[/]", soft_wrap=True)
    start = time.perf_counter()
    yield
    console.print(f"   [dim]{time.perf_counter() - start:.1f} s[/]")


def say(text: str) -> None:
    """Print one line of what a step did."""
    console.print(f"   {text}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())

"""Train a classifier on a feature table and score it on unseen objects. Saving and applying it is the bundle's work."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.errors import InputError
from lsdb_ts.learn.bundle import ModelBundle, needs_extra
from lsdb_ts.learn.calibration import Calibration, Codes, Floats, expected_calibration_error, log_loss
from lsdb_ts.learn.inputs import FeatureColumns
from lsdb_ts.learn.taxonomy import Taxonomy

MIN_PER_CLASS = 5
_CALIBRATE, _TEST = 0.2, 0.2
_SETTINGS: dict[str, Any] = {
    "class_weight": "balanced",
    "learning_rate": 0.15,
    "max_iter": 60,
    "max_leaf_nodes": 15,
    # Fewer bins, and a share of the features at each split: several times faster, as accurate on light-curve features.
    "max_bins": 64,
    "max_features": 0.3,
    "early_stopping": False,
}


def train(
    features: pa.Table,
    labels: ArrayLike | pa.Array | pa.ChunkedArray,
    *,
    seed: int = 0,
    taxonomy: Taxonomy | None = None,
    columns: Sequence[str] | None = None,
) -> ModelBundle:
    """Train gradient-boosted trees with calibrated probabilities.

    Of each class, 60 % of the objects train the trees, 20 % calibrate the probabilities, and 20 % are kept for the
    metrics and the confusion matrix of the bundle: no number in it comes from an object the model has seen.

    Parameters
    ----------
    features : pyarrow.Table
        One row per object. Columns that are structs of numbers are taken (all the columns feature extraction adds), but
        for times of day inside them: a class observed in another year would be known by the calendar;
        null and NaN are fine. Rows without a single number but counts of epochs are left out and counted.
    labels : array_like of str, length n
        The class of each row; numbers become their text.
    seed : int
        Equal seeds and tables give equal models.
    taxonomy : Taxonomy, optional
        Classes, their order and kinds; by default the labels there are, alphabetically.
    columns : sequence of str, optional
        Columns to use instead; may name plain number columns.

    Returns
    -------
    ModelBundle

    Raises
    ------
    InputError
        Lengths differ, a label is unknown, or a class has fewer than 5 objects.
    LsdbTsError
        scikit-learn is not installed.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> kind = np.repeat(["faint", "bright"], 50)
    >>> mean = pa.array(rng.normal(size=100) + 4 * (kind == "bright"))
    >>> table = pa.table({"features_r": pa.StructArray.from_arrays([mean], ["mean"])})
    >>> bundle = train(table, kind)
    >>> bundle.labels, bundle.metrics["accuracy"] > 0.9
    (('bright', 'faint'), True)
    """
    if not isinstance(features, pa.Table):
        raise InputError(
            f"train needs a pyarrow.Table and got a {type(features).__name__}: catalog.to_arrow() gives one"
        )
    inputs = FeatureColumns.of(features.schema, columns)
    wanted = _as_list(labels)
    if len(wanted) != features.num_rows:
        raise InputError(f"{features.num_rows} rows of features, but {len(wanted)} labels: need one label for each row")
    taxonomy = taxonomy if taxonomy is not None else Taxonomy.flat(str(label) for label in wanted if label is not None)
    codes = taxonomy.codes(wanted)
    matrix = inputs.matrix(features)
    known = inputs.known(matrix)
    matrix, codes = matrix[known], codes[known]
    _enough(codes, taxonomy)
    part = _split(codes, seed)
    model = _fit(matrix[part == 0], codes[part == 0], seed)
    raw = [model.predict_proba(matrix[part == i]) for i in (1, 2)]
    calibration = Calibration.fit(raw[0], codes[part == 1])
    truth = codes[part == 2]
    return ModelBundle(
        model=model,
        features=inputs,
        taxonomy=taxonomy,
        calibration=calibration,
        metrics=_metrics(raw[1], calibration.apply(raw[1]), truth, taxonomy),
        confusion=_confusion(calibration.apply(raw[1]).argmax(axis=1), truth, len(taxonomy.labels)),
        card={
            "seed": seed,
            "settings": _SETTINGS,
            "rows": {"trained": int((part == 0).sum()), "calibrated": int((part == 1).sum()), "tested": truth.size},
            "rows_without_features": int((~known).sum()),
            "objects": dict(zip(taxonomy.labels, np.bincount(codes).tolist(), strict=True)),
            "versions": _versions(),
        },
        probe=matrix[part == 2][:16],
    )


def _as_list(labels: Any) -> list[object]:
    if isinstance(labels, pa.Array | pa.ChunkedArray):
        return list(labels.to_pylist())
    import pandas as pd

    values = np.asarray(labels, dtype=object).ravel()
    return [None if missing else x for x, missing in zip(values.tolist(), pd.isna(values).tolist(), strict=True)]


def _enough(codes: Codes, taxonomy: Taxonomy) -> None:
    counts = np.bincount(codes, minlength=len(taxonomy.labels))
    few = [f"{label}: {n}" for label, n in zip(taxonomy.labels, counts.tolist(), strict=True) if n < MIN_PER_CLASS]
    if few or counts.size < 2:
        raise InputError(
            f"too few objects to train, calibrate and test on ({', '.join(few) or f'{counts.size} class'}): need two "
            f"classes or more, with {MIN_PER_CLASS} objects each that have features; merge classes, or get more objects"
        )


def _split(codes: Codes, seed: int) -> NDArray[np.int8]:
    """Give each object its part, 0 (train), 1 (calibrate) or 2 (test), in the same shares in every class."""
    rng = np.random.default_rng(seed)
    part = np.zeros(codes.size, dtype=np.int8)
    for code in np.unique(codes):
        rows = rng.permutation(np.flatnonzero(codes == code))
        calibrate, test = (max(1, round(share * rows.size)) for share in (_CALIBRATE, _TEST))
        part[rows[:calibrate]] = 1
        part[rows[calibrate : calibrate + test]] = 2
    return part


def _fit(matrix: NDArray[np.float32], codes: Codes, seed: int) -> Any:
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError as error:
        raise needs_extra(error) from error
    # A feature that no object has would stop the binning; as a constant it is simply never split on.
    filled = np.where(np.isnan(matrix).all(axis=0), np.float32(0), matrix)
    return HistGradientBoostingClassifier(random_state=seed, **_SETTINGS).fit(filled, codes)


def _confusion(predicted: Codes, truth: Codes, n: int) -> NDArray[np.int64]:
    return np.bincount(truth * n + predicted, minlength=n * n).reshape(n, n)


def _metrics(raw: Floats, calibrated: Floats, truth: Codes, taxonomy: Taxonomy) -> dict[str, Any]:
    """Score held-out objects: overall, by class, and how honest the probabilities are before and after calibration."""
    n = len(taxonomy.labels)
    predicted = calibrated.argmax(axis=1)
    counts = _confusion(predicted, truth, n)
    right = np.diag(counts)
    recall = right / counts.sum(axis=1)
    precision = right / np.maximum(counts.sum(axis=0), 1)
    f1 = 2 * right / (counts.sum(axis=0) + counts.sum(axis=1))
    kinds = np.array(taxonomy.kinds)
    by_class = {
        label: {"precision": float(precision[i]), "recall": float(recall[i]), "f1": float(f1[i])}
        for i, label in enumerate(taxonomy.labels)
    }
    return {
        "objects": int(truth.size),
        "accuracy": float((predicted == truth).mean()),
        "balanced_accuracy": float(recall.mean()),
        "kind_accuracy": float((kinds[predicted] == kinds[truth]).mean()),
        "macro_f1": float(f1.mean()),
        "log_loss": log_loss(calibrated, truth),
        "log_loss_uncalibrated": log_loss(raw, truth),
        "ece": expected_calibration_error(calibrated, truth),
        "ece_uncalibrated": expected_calibration_error(raw, truth),
        "by_class": by_class,
    }


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {"python": platform.python_version(), **{name: version(name) for name in ("numpy", "scikit-learn")}}

"""A trained classifier with all it takes to use it rightly, in one file that is safe to load. Training lives next door.

The file is a zip archive of ``bundle.json`` (everything a person may want to read) and ``model.skops`` (the trees).

To change the format:

1. Raise ``FORMAT`` by one, and write the new form in `ModelBundle.save`.
2. Keep reading the old: move today's ``_from_json`` to ``_from_json_<old number>`` and enter it in ``_READERS``.
3. Put a bundle written by the old version (trained on the table of ``tests/learn/test_bundle.py``) beside that test,
   and let it load the file and compare its predictions.
4. Tell users in the CHANGELOG which versions can read what.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import InputError, LsdbTsError
from lsdb_ts.learn.calibration import Calibration
from lsdb_ts.learn.inputs import FeatureColumns
from lsdb_ts.learn.taxonomy import Taxonomy
from lsdb_ts.store.write import atomic

FORMAT = 1

_TRUSTED = frozenset({"sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"})
"""Types beyond skops' own list that a file may hold: nothing else is ever constructed."""
_TOLERANCE = 1e-6


@dataclass(frozen=True, repr=False)
class ModelBundle:
    """A classifier, the features it eats, its classes, its calibration, and how it did on objects it had not seen."""

    model: Any
    """The fitted scikit-learn classifier; classes are places in the taxonomy."""
    features: FeatureColumns
    taxonomy: Taxonomy
    calibration: Calibration
    metrics: Mapping[str, Any]
    """Scores on held-out objects: objects, accuracy, balanced_accuracy, kind_accuracy, macro_f1, log_loss and ece
    (these two also before calibration: ``_uncalibrated``), by_class."""
    confusion: NDArray[np.int64]
    """Held-out objects by true class (rows) and predicted class (columns)."""
    card: Mapping[str, Any]
    """Data card: objects by class, rows by use, seed, settings, versions."""
    probe: NDArray[np.float32]
    """Rows whose probabilities are stored with the model and computed again on loading."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the confusion matrix and of the probability columns."""
        return self.taxonomy.labels

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns a table must have to be classified."""
        return self.features.columns

    @property
    def fields(self) -> tuple[pa.Field, ...]:
        """The columns that `predict` returns."""
        return (
            pa.field("class", pa.string()),
            pa.field("class_probability", pa.float32()),
            *(pa.field(f"p_{label}", pa.float32()) for label in self.labels),
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the features, classes, calibration and the probe's probabilities: equal for equal classifiers."""
        from lsdb_ts.store.journal import fingerprint

        return fingerprint({k: v for k, v in self._to_json().items() if k not in ("metrics", "card", "format")})

    def __repr__(self) -> str:
        tested = f"{self.metrics['accuracy']:.1%} of {self.metrics['objects']:,} held-out objects right"
        return f"ModelBundle({', '.join(self.labels)}; {len(self.features.names)} features; {tested})"

    def predict(self, table: pa.Table) -> pa.Table:
        """Classify the rows of a table.

        Parameters
        ----------
        table : pyarrow.Table
            Must have the columns of `inputs`, with the very features the model was trained on; others are ignored.

        Returns
        -------
        pyarrow.Table
            ``class`` (string), ``class_probability`` (float32) and ``p_<label>`` (float32, adding up to 1) for each
            row; all null where a row has no feature at all, or none but counts of epochs.

        Raises
        ------
        SchemaError
            The features differ; lists each difference.
        """
        matrix = self.features.matrix(table)
        unknown = ~self.features.known(matrix)
        probabilities = self._probabilities(matrix)
        best = probabilities.argmax(axis=1)
        names = pa.DictionaryArray.from_arrays(pa.array(best, pa.int32(), mask=unknown), list(self.labels))
        columns = [names.cast(pa.string()), _float32(probabilities.max(axis=1), unknown)]
        columns += [_float32(probabilities[:, i], unknown) for i in range(len(self.labels))]
        return pa.Table.from_arrays(columns, schema=pa.schema(self.fields))

    def save(self, path: str | Path) -> Path:
        """Write the bundle to one file, whole or not at all."""
        skops = _skops()
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("bundle.json", json.dumps(self._to_json(), indent=1, sort_keys=True))
            archive.writestr("model.skops", skops.dumps(self.model))
        return path

    @classmethod
    def load(cls, path: str | Path) -> ModelBundle:
        """Read a bundle, and make sure that it still says what it said when it was written.

        Raises
        ------
        InputError
            Not a bundle, one of a format this version cannot read, one that holds types no bundle needs, or one whose
            trees predict otherwise under the scikit-learn installed here.
        """
        path = Path(path)
        try:
            with zipfile.ZipFile(path) as archive:
                content, weights = json.loads(archive.read("bundle.json")), archive.read("model.skops")
            number = content["format"]
        except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise _no_bundle(path, error) from error
        reader = _READERS.get(number)
        if reader is None:
            known = ", ".join(map(str, _READERS))
            raise InputError(
                f'{path} has bundle format {number}, this version reads {known}: pip install --upgrade "lsdb_ts[learn]"'
            )
        try:
            bundle, expected = reader(content, _load_model(weights, path)), np.array(content["probe_probabilities"])
        except LsdbTsError:
            raise
        except Exception as error:
            # skops lets through whatever a damaged archive leads to.
            raise _no_bundle(path, error) from error
        bundle._still_says(expected, path)
        return bundle

    def _probabilities(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        if not len(matrix):
            return np.empty((0, len(self.labels)))
        return self.calibration.apply(self.model.predict_proba(matrix))

    def _still_says(self, expected: NDArray[np.float64], path: Path) -> None:
        found = self._probabilities(self.probe)
        if found.shape != expected.shape or not np.allclose(found, expected, rtol=0, atol=_TOLERANCE):
            raise InputError(
                f"{path} predicts otherwise than when it was written, with {self.card['versions']}: install those "
                "versions, or train the model again with the ones here"
            )

    def _to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "features": self.features.to_json(),
            "features_fingerprint": self.features.fingerprint,
            "taxonomy": self.taxonomy.to_json(),
            "calibration": self.calibration.to_json(),
            "metrics": dict(self.metrics),
            "confusion": self.confusion.tolist(),
            "card": dict(self.card),
            "probe": [[None if np.isnan(x) else float(x) for x in row] for row in self.probe],
            # Rounded: the last bits differ between processors, and the fingerprint must not.
            "probe_probabilities": np.round(self._probabilities(self.probe), 9).tolist(),
        }


def _from_json(content: Mapping[str, Any], model: Any) -> ModelBundle:
    features = FeatureColumns.from_json(content["features"])
    return ModelBundle(
        model=model,
        features=features,
        taxonomy=Taxonomy.from_json(content["taxonomy"]),
        calibration=Calibration.from_json(content["calibration"]),
        metrics=content["metrics"],
        confusion=np.array(content["confusion"], dtype=np.int64),
        card=content["card"],
        probe=np.array(content["probe"], dtype=np.float32).reshape(-1, len(features.names)),
    )


_READERS: Mapping[int, Callable[[Mapping[str, Any], Any], ModelBundle]] = {FORMAT: _from_json}


def _no_bundle(path: Path, error: Exception) -> InputError:
    what = f"{type(error).__name__}: {error}"
    return InputError(f"{path} is not a model bundle ({what}): need a file that ModelBundle.save wrote")


def needs_extra(error: ImportError) -> LsdbTsError:
    """Return the error that says how to get what training and loading need."""
    return LsdbTsError(f'classifiers need scikit-learn and skops ({error}): pip install "lsdb_ts[learn]"')


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise needs_extra(error) from error
    return skops.io


def _load_model(weights: bytes, path: Path) -> Any:
    skops = _skops()
    found = set(skops.get_untrusted_types(data=weights))
    if found - _TRUSTED:
        raise InputError(
            f"{path} holds types that no bundle needs, and was not loaded: {', '.join(sorted(found - _TRUSTED))}"
        )
    return skops.loads(weights, trusted=sorted(found))


def _float32(values: NDArray[np.float64], unknown: NDArray[np.bool_]) -> pa.Array:
    return pa.array(values.astype(np.float32), mask=unknown)

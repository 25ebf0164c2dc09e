"""A bundle in a file is the bundle in memory; it refuses tables, files and types that are not its own."""

import builtins
import json
import os
import pickle
import zipfile

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import InputError, LsdbTsError, SchemaError
from lsdb_ts.learn import ModelBundle, train

N = 400


def feature_table(n=N, seed=3):
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 2, n)
    parts = [pa.array(rng.normal(kind * 2.0, 1.0), pa.float32()), pa.array(rng.integers(0, 9, n), pa.int32())]
    return pa.table({"features_r": pa.StructArray.from_arrays(parts, ["mean", "n"])}), np.array(["agn", "star"])[kind]


def changed(table, **parts):
    """Return the table with other fields in its struct; None takes a field away."""
    old = table["features_r"].combine_chunks()
    fields = {f.name: old.field(f.name) for f in old.type} | parts
    kept = {name: values for name, values in fields.items() if values is not None}
    return pa.table({"features_r": pa.StructArray.from_arrays(list(kept.values()), list(kept))})


@pytest.fixture(scope="module")
def bundle():
    return train(*feature_table())


@pytest.fixture
def saved(bundle, tmp_path):
    return bundle.save(tmp_path / "classifier.bundle")


def rewritten(path, **files):
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()} | files
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def test_a_saved_bundle_predicts_the_same_after_loading(bundle, saved):
    table, _ = feature_table(seed=4)
    loaded = ModelBundle.load(saved)
    assert loaded.predict(table).equals(bundle.predict(table))
    assert loaded.fingerprint == bundle.fingerprint
    assert loaded.metrics == bundle.metrics
    assert loaded.card == bundle.card
    assert np.array_equal(loaded.confusion, bundle.confusion)
    assert [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_a_bundle_travels_to_workers(bundle):
    table, _ = feature_table(seed=5)
    assert pickle.loads(pickle.dumps(bundle)).predict(table).equals(bundle.predict(table))


def test_predictions_have_the_promised_columns_and_add_up(bundle):
    predicted = bundle.predict(feature_table(seed=6)[0])
    assert predicted.schema.equals(pa.schema(bundle.fields))
    assert predicted.column_names == ["class", "class_probability", "p_agn", "p_star"]
    total = predicted["p_agn"].to_numpy() + predicted["p_star"].to_numpy()
    assert np.allclose(total, 1, atol=1e-6)
    highest = np.maximum(predicted["p_agn"], predicted["p_star"])
    assert np.array_equal(predicted["class_probability"], highest)


def test_an_empty_table_gives_an_empty_prediction(bundle):
    assert bundle.predict(feature_table()[0].slice(0, 0)).num_rows == 0


def test_a_row_without_features_is_not_classified(bundle):
    table = pa.concat_tables(
        [feature_table()[0], pa.table({"features_r": pa.nulls(1, feature_table()[0].field(0).type)})]
    )
    predicted = bundle.predict(table).to_pylist()
    assert set(predicted[-1].values()) == {None}
    assert None not in predicted[0].values()


def test_counts_of_epochs_alone_do_not_make_a_class():
    table, labels = feature_table()
    values = table["features_r"].combine_chunks().field("mean")
    values = pa.concat_arrays([values, pa.nulls(1, pa.float32())])
    counts = pa.array([5.0] * len(labels) + [0.0], pa.float32())
    table = pa.table({"features_r": pa.StructArray.from_arrays([values, counts], ["mean", "n_epochs"])})
    bundle = train(table, [*labels, "star"])
    assert bundle.card["rows_without_features"] == 1
    assert bundle.predict(table)["class"].is_null().to_pylist() == [False] * len(labels) + [True]


def test_other_columns_of_the_catalog_do_not_matter(bundle):
    table, _ = feature_table()
    assert bundle.predict(table.append_column("ra", pa.array(np.zeros(N)))).equals(bundle.predict(table))


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda t: changed(t, mean=None), r"missing features_r.mean \(float\)"),
        (lambda t: changed(t, period=pa.array(np.zeros(N))), r"unknown features_r.period \(double\)"),
        (lambda t: changed(t, mean=pa.array(np.zeros(N))), r"features_r.mean: double here, float in training"),
        (lambda t: t.rename_columns(["features_g"]), r"missing column features_r"),
    ],
)
def test_a_table_of_other_features_is_refused_with_the_difference(bundle, change, difference):
    with pytest.raises(SchemaError, match=difference):
        bundle.predict(change(feature_table()[0]))


def test_features_of_another_version_of_the_set_are_refused():
    table, labels = feature_table()

    def made_by(mark):
        return table.cast(pa.schema([table.schema.field(0).with_metadata({"feature_set": mark})]))

    bundle = train(made_by("a" * 64), labels)
    bundle.predict(made_by("a" * 64))
    with pytest.raises(SchemaError, match="made by feature set bbbbbbbbbbbb, trained on aaaaaaaaaaaa"):
        bundle.predict(made_by("b" * 64))


def test_a_file_that_is_no_bundle_is_refused(tmp_path):
    (tmp_path / "x.bundle").write_text("no")
    for path in (tmp_path / "x.bundle", tmp_path / "absent.bundle"):
        with pytest.raises(InputError, match="is not a model bundle"):
            ModelBundle.load(path)


@pytest.mark.parametrize(
    "part", [{"bundle.json": b"[]"}, {"bundle.json": b"{}"}, {"bundle.json": b'{"format": 1}'}, {"model.skops": b"x"}]
)
def test_a_damaged_bundle_is_refused(saved, part):
    rewritten(saved, **part)
    with pytest.raises(InputError, match="is not a model bundle"):
        ModelBundle.load(saved)


def test_a_bundle_of_a_later_format_says_what_to_do(saved):
    with zipfile.ZipFile(saved) as archive:
        content = json.loads(archive.read("bundle.json"))
    rewritten(saved, **{"bundle.json": json.dumps({**content, "format": 99})})
    with pytest.raises(InputError, match=r"format 99, this version reads 1: pip install"):
        ModelBundle.load(saved)


def test_a_bundle_whose_model_predicts_otherwise_is_refused(saved):
    with zipfile.ZipFile(saved) as archive:
        content = json.loads(archive.read("bundle.json"))
    content["calibration"]["sharpness"] *= 1.5
    rewritten(saved, **{"bundle.json": json.dumps(content)})
    with pytest.raises(InputError, match="predicts otherwise than when it was written"):
        ModelBundle.load(saved)


class Intruder:
    """What an attacker would have constructed on loading."""

    def __reduce__(self):
        return os.getcwd, ()


def test_a_bundle_with_foreign_types_is_not_constructed(saved):
    import skops.io

    rewritten(saved, **{"model.skops": skops.io.dumps({"model": Intruder()})})
    with pytest.raises(InputError, match="holds types that no bundle needs"):
        ModelBundle.load(saved)


def test_a_missing_extra_names_the_install_command(bundle, tmp_path, monkeypatch):
    real = builtins.__import__

    def without_skops(name, *args, **kwargs):
        if name.startswith("skops"):
            raise ImportError("No module named 'skops'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_skops)
    with pytest.raises(LsdbTsError, match=r'pip install "lsdb_ts\[learn\]"'):
        bundle.save(tmp_path / "classifier.bundle")
    assert list(tmp_path.iterdir()) == []

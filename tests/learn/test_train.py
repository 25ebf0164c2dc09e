"""Training is repeatable, scored on unseen objects, calibrated, and clear about labels it cannot use."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.learn import Taxonomy, train
from lsdb_ts.learn.calibration import Calibration, expected_calibration_error, log_loss
from lsdb_ts.schema import DATED

CLASSES = np.array(["agn", "cepheid", "rr_lyrae"])
N = 1500


def feature_table(n, seed=0, overlap=1.5):
    """Draw three overlapping classes of unequal size in two bands of features, with nulls."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, n, p=[0.6, 0.3, 0.1])

    def band(names):
        values = [rng.normal(kind * (i % 3 - 1) / overlap, 1.0) for i in range(len(names))]
        return pa.StructArray.from_arrays([pa.array(v, pa.float32(), mask=rng.random(n) < 0.1) for v in values], names)

    columns = {"objectId": pa.array(np.arange(n)), "features_g": band(["mean", "mad", "skew"])}
    return pa.table({**columns, "features_r": band(["mean", "mad"])}), CLASSES[kind]


@pytest.fixture(scope="module")
def trained():
    return train(*feature_table(N), seed=1)


def test_equal_seeds_give_equal_models(trained):
    table, labels = feature_table(N)
    again, other = train(table, labels, seed=1), train(table, labels, seed=2)
    assert again.fingerprint == trained.fingerprint
    assert again.predict(table).equals(trained.predict(table))
    assert other.fingerprint != trained.fingerprint


def test_metrics_and_confusion_come_from_a_fifth_kept_apart(trained):
    assert trained.confusion.sum() == trained.metrics["objects"] == pytest.approx(N / 5, abs=3)
    assert np.trace(trained.confusion) / trained.confusion.sum() == pytest.approx(trained.metrics["accuracy"])
    rows = trained.card["rows"]
    assert sum(rows.values()) + trained.card["rows_without_features"] == N


def test_held_out_scores_agree_with_fresh_objects(trained):
    table, labels = feature_table(20_000, seed=99)
    predicted = trained.predict(table)
    right = np.array([p == label for p, label in zip(predicted["class"].to_pylist(), labels, strict=True)])
    assert right.mean() == pytest.approx(trained.metrics["accuracy"], abs=0.05)


def test_calibration_makes_probabilities_honest(trained):
    metrics = trained.metrics
    assert metrics["log_loss"] < metrics["log_loss_uncalibrated"]
    assert metrics["ece"] < metrics["ece_uncalibrated"]
    table, labels = feature_table(20_000, seed=98)
    kept = trained.predict(table)
    codes = trained.taxonomy.codes(labels)
    probabilities = np.stack([kept[f"p_{label}"].to_numpy(zero_copy_only=False) for label in trained.labels], axis=1)
    known = ~np.isnan(probabilities).any(axis=1)
    assert expected_calibration_error(probabilities[known], codes[known]) < 0.05


def test_calibration_undoes_a_known_distortion():
    rng = np.random.default_rng(5)
    truth = rng.dirichlet([1.0, 1.0, 1.0], 20_000)
    codes = (rng.random((20_000, 1)) > truth.cumsum(axis=1)).sum(axis=1)
    bent = truth**3 * [1.0, 4.0, 0.5]
    bent /= bent.sum(axis=1, keepdims=True)
    found = Calibration.fit(bent, codes)
    assert found.sharpness == pytest.approx(1 / 3, rel=0.05)
    assert np.abs(found.apply(bent) - truth).mean() < 0.01
    assert log_loss(found.apply(bent), codes) < log_loss(bent, codes)


def test_a_column_of_nothing_but_nulls_is_fine():
    table, labels = feature_table(400)
    empty = pa.StructArray.from_arrays([pa.nulls(400, pa.float32())], ["mean"])
    bundle = train(table.append_column("features_u", empty), labels)
    assert "features_u.mean" in bundle.features.names
    assert bundle.metrics["accuracy"] > 0.5


def test_rows_without_any_feature_are_left_out_and_counted():
    table, labels = feature_table(400)
    bare = pa.table({name: pa.nulls(10, table.schema.field(name).type) for name in table.column_names})
    bundle = train(pa.concat_tables([table, bare]), [*labels, *["agn"] * 10])
    assert bundle.card["rows_without_features"] >= 10


def test_plain_numbers_are_features_only_when_named():
    table, labels = feature_table(300)
    assert train(table, labels).inputs == ("features_g", "features_r")
    assert train(table, labels, columns=["objectId", "features_g"]).features.names[0] == "objectId"
    with pytest.raises(PlanError, match="no column of features"):
        train(table.select(["objectId"]), labels)


def test_a_taxonomy_groups_classes_into_kinds():
    table, labels = feature_table(600)
    kinds = {"cepheid": "pulsating", "rr_lyrae": "pulsating"}
    bundle = train(table, labels, taxonomy=Taxonomy(("rr_lyrae", "cepheid", "agn"), kinds))
    assert bundle.labels == ("rr_lyrae", "cepheid", "agn")
    assert bundle.metrics["kind_accuracy"] > bundle.metrics["accuracy"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels: labels[:-1], "300 rows of features, but 299 labels"),
        (lambda labels: ["quasar", *labels[1:]], "quasar: 1.*need two"),
        (lambda labels: [None, *labels[1:]], "label of row 0 is None"),
        (lambda labels: pd.array([*labels[:-1], pd.NA], dtype="string"), "label of row 299 is None"),
        (lambda labels: ["agn"] * 300, "1 class"),
    ],
)
def test_labels_that_cannot_be_used_are_named(change, message):
    table, labels = feature_table(300)
    with pytest.raises(InputError, match=message):
        train(table, change(list(labels)))


def test_labels_may_be_numbers():
    table, labels = feature_table(300)
    numbers = np.searchsorted(CLASSES, labels) + 2222
    assert train(table, numbers).labels == ("2222", "2223", "2224")


def test_an_unknown_label_is_named_with_its_row_and_the_nearest_class():
    table, labels = feature_table(300)
    with pytest.raises(InputError, match=r'row 0 is \'rr_lyra\'.*"rr_lyrae"'):
        train(table, ["rr_lyra", *labels[1:]], taxonomy=Taxonomy.flat(CLASSES))


def test_when_objects_were_observed_is_not_learnt():
    table, labels = feature_table(400)
    first = pa.field("t_first", pa.float64(), metadata={DATED: b"true"})
    plain = pa.field("duration", pa.float32())
    dates = pa.array(np.arange(400.0))
    struct = pa.StructArray.from_arrays([dates, dates.cast(pa.float32())], fields=[first, plain])
    table = table.append_column("features_i", struct)
    assert [n for n in train(table, labels).features.names if "features_i" in n] == ["features_i.duration"]

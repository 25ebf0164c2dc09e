"""The contract of a feature, asked of every one there is, also of those written tomorrow."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.features import Feature, FeatureSet, LightCurves, all_features
from lsdb_ts.features.protocol import BandFeature, ObjectFeature
from lsdb_ts.kernels.periods.search import PeriodSearch
from lsdb_ts.schema import Roles, unit_of

ROLES = Roles(time="t", band="band", flux="f", flux_error="e")
PARTS = ("t", "band", "f", "e")
KINDS = all_features()
TIMES = {"t_first", "t_last", "t_peak"}
"""Times of day, which float32 would round to minutes."""
UNITS = {"1", "d", "K", "mag", "mag/d", "rad", "value", "value/d", "value^2"}


def make(kind):
    return kind.of_bands(("g", "r"))[0]


def nested(*curves):
    """Return the nested column of curves, each a list of (time, band, flux, error), or None."""
    kind = pa.struct([(n, pa.list_(pa.string() if n == "band" else pa.float64())) for n in PARTS])
    rows = [None if c is None else {n: [epoch[k] for epoch in c] for k, n in enumerate(PARTS)} for c in curves]
    return pa.array(rows, kind)


def star(n, bands="gr", seed=0):
    rng = np.random.default_rng(seed)
    t = 60000 + np.sort(rng.uniform(0, 500, n))
    f = 1000 + 300 * np.sin(2 * np.pi * t / 0.71) + rng.normal(0, 5, n)
    return [(t[i], bands[i % len(bands)], f[i], 5.0) for i in range(n)]


@pytest.fixture(scope="module")
def awkward():
    """Return curves that are rich, empty, null, of one epoch, of one band, constant, negative and not finite."""
    unseen = [(day + 0.02 * k, "gr"[k], 3.0, 5.0) for day in (59990, 59991, 60100) for k in range(2)]
    flash = [(60300.0, "g", 1500.0, 5.0), (60299.9, "r", 1400.0, 5.0), (60300.1, "r", 1400.0, 5.0)]
    bad = [(np.nan, "g", 1.0, 1.0), (6e4, "g", np.inf, 1.0), (6e4, "r", 1.0, 0.0), (6e4, "r", 1.0, np.nan)]
    return nested(
        [*unseen, *star(120), *flash], [], None, [(6e4, "g", 5.0, 1.0)], star(60, "g"),
        [(6e4 + i, "gr"[i % 2], 7.0, 1.0) for i in range(30)],
        [(6e4 + i, "gr"[i % 2], -50.0 - i, 1.0) for i in range(30)], bad,
        [*star(60), (-2409998.5, "g", 900.0, 5.0)],
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
class TestEveryFeature:
    def test_it_says_what_it_is(self, kind):
        feature = make(kind)

        assert len(kind.__doc__ or "") > 10
        assert kind.__doc__ != Feature.__doc__
        assert feature.reference
        assert feature.unit in UNITS
        assert feature.min_epochs >= 0
        assert feature.name.isidentifier()
        assert feature.name == feature.name.lower()
        assert issubclass(kind, (BandFeature, ObjectFeature))

    def test_its_definitions_have_formulas_and_give_features_of_one_name(self, kind):
        feature = make(kind)
        by = [feature.by(definition) for definition in kind.definitions]

        assert {f.name for f in by} <= {feature.name}
        assert all(len(f.formula) > 20 for f in [feature, *by])
        assert all("; " in text for text in kind.definitions.values())
        assert len({f.formula for f in by}) == len({repr(f) for f in by}) == len(by)
        assert feature.by("of nobody") is feature
        if by:
            assert feature.definition == next(iter(kind.definitions))
            with pytest.raises(PlanError, match=f'{feature.name} has no definition "own"; it has {by[0].definition}'):
                replace(feature, definition="own")

    def test_every_definition_is_computed(self, kind, awkward):
        for definition in kind.definitions:
            feature = make(kind).by(definition)
            curves = LightCurves.of(awkward, ROLES, ("g", "r"), PeriodSearch())
            assert np.isfinite(feature.compute(curves)[0]).all()
            assert feature.unit in UNITS

    def test_it_survives_pickle_and_json(self, kind):
        feature = make(kind)

        assert pickle.loads(pickle.dumps(feature)) == feature
        assert Feature.from_json(json.loads(json.dumps(feature.to_json()))) == feature

    def test_its_shape_is_objects_by_bands_or_objects(self, kind, awkward):
        curves = LightCurves.of(awkward, ROLES, ("g", "r"), PeriodSearch())
        values = make(kind).compute(curves)

        assert values.shape == ((9, 2) if issubclass(kind, BandFeature) else (9,))
        assert values.dtype == np.float64

    def test_it_is_float32_with_the_declared_field_and_null_where_undefined(self, kind, awkward):
        feature = make(kind)
        table = FeatureSet("one", ("g", "r"), (feature,), PeriodSearch()).extract(awkward, ROLES)
        columns = ["features_g", "features_r"] if isinstance(feature, BandFeature) else ["features_multiband"]
        for column in columns:
            struct = table[column].combine_chunks()
            values = struct.field(feature.name)
            field = struct.type.field(feature.name)
            assert struct.null_count == 0
            assert values.type == feature.stored
            assert feature.stored == (pa.float64() if feature.name in TIMES else pa.float32())
            assert unit_of(field) == feature.unit
            assert np.isfinite(values.drop_null().to_numpy()).all()
            assert values[0].is_valid
            if feature.min_epochs > 0:
                assert not any(values[i].is_valid for i in (1, 2, 7))

    def test_it_does_not_depend_on_the_other_objects(self, kind, awkward):
        features = FeatureSet("one", ("g", "r"), (make(kind),), PeriodSearch())
        whole = features.extract(awkward, ROLES)
        parts = pa.concat_tables([features.extract(awkward.slice(i, 1), ROLES) for i in range(len(awkward))])

        assert whole.equals(parts.combine_chunks())

    def test_it_tells_when_the_object_was_observed_only_where_it_says_so(self, kind):
        """Of the same star 1,024 days later, which is exact in binary."""
        curves = star(80)
        later = [(t + 1024.0, *rest) for t, *rest in curves]
        feature = make(kind)
        one, other = (
            feature.compute(LightCurves.of(nested(c), ROLES, ("g", "r"), PeriodSearch())) for c in (curves, later)
        )
        assert feature.dated != np.allclose(one, other, rtol=1e-4, equal_nan=True)

    def test_it_does_not_depend_on_the_sequence_of_epochs(self, kind):
        features = FeatureSet("one", ("g", "r"), (make(kind),), PeriodSearch())
        sorted_curve = star(80)
        shuffled = [sorted_curve[i] for i in np.random.default_rng(1).permutation(80)]

        assert features.extract(nested(sorted_curve), ROLES).equals(features.extract(nested(shuffled), ROLES))


def test_names_are_unique_among_features_of_bands_and_of_objects():
    for group in (BandFeature, ObjectFeature):
        names = [make(kind).name for kind in KINDS if issubclass(kind, group)]
        assert len(set(names)) == len(names)


def test_a_feature_of_another_version_is_refused():
    with pytest.raises(PlanError, match=r"version \d here and version 9"):
        Feature.from_json({"feature": "Sigma", "version": 9})
    with pytest.raises(PlanError, match='did you mean "Sigma"'):
        Feature.from_json({"feature": "Sigmaa", "version": 1})

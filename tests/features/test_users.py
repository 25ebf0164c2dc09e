"""Features that users bring: classes of their own modules and notebooks, and those of the light-curve package."""

import json
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.features import BandFeature, Feature, FeatureSet, ObjectFeature, from_light_curve
from lsdb_ts.schema import Roles
from tests.features.test_contract import nested, star

cloudpickle = pytest.importorskip("cloudpickle")
ROLES = Roles(time="t", band="band", flux="f", flux_error="e")
CURVES = nested(star(60), [], star(7, seed=1), star(90, "g", seed=2))
SCALE = 3.0


def scaled(values):
    return SCALE * values


class ThreeMeans(BandFeature):
    """Three times the mean."""

    name, unit, min_epochs, reference = "three_means", "value", 1, "a user"

    def compute(self, curves):
        return scaled(curves.statistic("mean"))


class Brightest(ObjectFeature):
    """Largest value in any band."""

    name, unit, min_epochs, reference = "brightest", "value", 1, "a user"

    def compute(self, curves):
        return np.nanmax(np.where(curves.counts > 0, curves.statistic("max"), -np.inf), axis=1)


NOTEBOOK = '''
from lsdb_ts.features import BandFeature
FACTOR = {factor}
def times(values):
    return FACTOR * values
class Own(BandFeature):
    """The mean, times a factor."""
    name, unit, min_epochs, reference = "own", "value", 1, "a user"
    def compute(self, curves):
        return times(curves.statistic("mean"))
'''


class Failing(BandFeature):
    """Nothing."""

    name, unit, min_epochs, reference = "failing", "1", 1, "a user"

    def compute(self, curves):
        return 1 / 0


def test_a_feature_that_raises_is_named():
    with pytest.raises(RuntimeError, match="the feature failing: ZeroDivisionError: division by zero"):
        FeatureSet.of([ThreeMeans, Failing], "gr").extract(CURVES, ROLES)


def in_a_notebook(factor=3.0, text=NOTEBOOK):
    """Return the class as a notebook's cell makes it: in a module without a file."""
    module = types.ModuleType("notebook")
    sys.modules["notebook"] = module
    exec(text.format(factor=factor), module.__dict__)
    return module.Own


def test_a_users_feature_stands_beside_ours():
    features = FeatureSet.of(["mean", ThreeMeans, Brightest()], "gr")
    table = features.extract(CURVES, ROLES)
    g = table["features_g"].combine_chunks()

    assert g.field("three_means")[0].as_py() == pytest.approx(3 * g.field("mean")[0].as_py(), rel=1e-6)
    assert g.field("three_means")[1].as_py() is None
    highest = [max(v for _, _, v, _ in curve) if curve else None for curve in (star(60), [], star(7, seed=1))]
    assert table["features_multiband"].combine_chunks().field("brightest").to_pylist()[:3] == pytest.approx(highest)
    assert FeatureSet.from_json(json.loads(json.dumps(features.to_json()))) == features
    assert pickle.loads(pickle.dumps(features)).fingerprint == features.fingerprint


def test_a_feature_of_a_notebook_works_in_another_process_and_keeps_its_fingerprint(tmp_path):
    features = FeatureSet.of([in_a_notebook(), "mean"], "gr")
    cloudpickle.register_pickle_by_value(sys.modules["notebook"])
    (tmp_path / "task").write_bytes(cloudpickle.dumps((features, CURVES, ROLES)))
    code = (
        "import pickle, sys; features, curves, roles = pickle.load(open(sys.argv[1], 'rb'));"
        "table = features.extract(curves, roles); row = table['features_g'][0].as_py();"
        "print(row['own'] / row['mean'], features.fingerprint, table.schema.equals(__import__('pyarrow')"
        ".schema(list(features.fields)), check_metadata=True))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "task"], capture_output=True, text=True, check=True)
    ratio, fingerprint, same_schema = done.stdout.split()

    assert float(ratio) == pytest.approx(3.0, rel=1e-6)
    assert fingerprint == features.fingerprint
    assert same_schema == "True"


def test_the_code_of_a_users_feature_is_part_of_the_fingerprint():
    def fingerprint(**how):
        return FeatureSet.of([in_a_notebook(**how)], "gr").fingerprint

    same = fingerprint()
    assert fingerprint() == same
    assert fingerprint(factor=4.0) != same
    assert fingerprint(text=NOTEBOOK.replace("FACTOR * values", "FACTOR + values")) != same
    assert fingerprint(text=NOTEBOOK.replace('statistic("mean")', 'statistic("median")')) != same
    assert fingerprint(text=NOTEBOOK.replace('"own", "value", 1', '"own", "value", 2')) != same


def test_what_is_stored_is_not_taken_for_code_that_has_changed():
    stored = FeatureSet.of([in_a_notebook()], "gr").to_json()
    in_a_notebook(factor=4.0)
    with pytest.raises(PlanError, match="the code of Own is not what it was"):
        FeatureSet.from_json(stored)
    del sys.modules["notebook"]
    with pytest.raises(PlanError, match="notebook:Own cannot be found again"):
        FeatureSet.from_json(stored)


def test_outputs_of_the_light_curve_package_are_columns_like_ours():
    light_curve = pytest.importorskip("light_curve")
    extractor = light_curve.Extractor(light_curve.Amplitude(), light_curve.LinearFit(), light_curve.Skew())
    theirs = from_light_curve(extractor, "gr")
    names = ["amplitude", "lin_slope", "lin_slope_err", "lin_redchi2", "skew"]
    both = FeatureSet.of([*names, *theirs.features], "gr", definition="light_curve")
    table = both.extract(CURVES, ROLES)

    assert len(theirs.features) == 5
    for column in ("features_g", "features_r"):
        struct = table[column].combine_chunks()
        for ours, other in zip(names, theirs.features, strict=True):
            a, b = (struct.field(n).to_numpy(zero_copy_only=False) for n in (ours, other.name))
            np.testing.assert_allclose(a, b, rtol=1e-5, err_msg=ours)
    again = pickle.loads(pickle.dumps(theirs))
    assert again == theirs == FeatureSet.from_json(json.loads(json.dumps(theirs.to_json())))
    assert again.extract(CURVES, ROLES).equals(theirs.extract(CURVES, ROLES))


def test_a_multiband_extractor_of_the_light_curve_package_gives_numbers_over_all_bands():
    light_curve = pytest.importorskip("light_curve")
    extractor = light_curve.Extractor(light_curve.Mean(bands=["g", "r"]))
    theirs = from_light_curve(extractor, "gr", prefix="")
    whole = theirs.extract(CURVES, ROLES)["features_multiband"].combine_chunks()
    ours = FeatureSet.of(["mean"], "gr").extract(CURVES, ROLES)

    for feature, band in zip(theirs.features, "gr", strict=True):
        mean = ours[f"features_{band}"].combine_chunks().field("mean")
        assert whole.field(feature.name)[0].as_py() == pytest.approx(mean[0].as_py())
    with pytest.raises(PlanError, match="the extractor is for the bands"):
        from_light_curve(extractor, "ri")


def test_a_feature_that_lacks_something_says_what():
    class Nameless(BandFeature):
        """Nothing."""

        unit, min_epochs = "1", 1

    class Flat(BandFeature):
        """One number for each object."""

        name, unit, min_epochs, reference = "flat", "1", 1, "a user"

        def compute(self, curves):
            return curves.counts.sum(axis=1)

    with pytest.raises(PlanError, match="the feature Nameless lacks name, reference: set them in its class"):
        FeatureSet.of([Nameless], "gr")
    with pytest.raises(PlanError, match="make it a subclass of BandFeature or ObjectFeature"):
        FeatureSet.of([Feature()], "gr")
    with pytest.raises(PlanError, match=r"flat gave numbers of shape \(4,\) and not \(4, 2\): one for each object and"):
        FeatureSet.of([Flat], "gr").extract(CURVES, ROLES)


def test_what_is_no_extractor_is_refused():
    with pytest.raises(PlanError, match="is no extractor of the light-curve package"):
        from_light_curve(object())


def test_a_feature_is_stored_as_a_float():
    import pyarrow as pa

    class Flag(ThreeMeans):
        """A flag."""

        stored = pa.bool_()

    with pytest.raises(PlanError, match="three_means is stored as bool: need float32 or float64"):
        FeatureSet.of([Flag], "gr")

"""A light curve is read as its roles say: zero points, limits, missing values, filters by number, bad times."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.schema import Roles, with_unit
from lsdb_ts.views.epochs import Epochs, time_scale

TIMES = [60_000.0, 60_001.0, 60_002.0]


def test_fluxes_with_a_zero_point_become_njy():
    counts = {"mjd": TIMES, "flux": [100.0, 10.0, 1.0], "fluxerr": [1.0, 1.0, 1.0], "zeroPoint": [26.4, 28.9, np.nan]}
    epochs = Epochs.of(counts)
    assert epochs.unit == "nJy"
    assert epochs.value[:2] == pytest.approx([1e4, 1e2])
    assert epochs.error[:2] == pytest.approx([1e2, 1e1])
    assert np.isnan(epochs.value[2])
    assert epochs.as_mag().value[0] == pytest.approx(26.4 - 2.5 * np.log10(100.0))


def test_a_flux_that_says_its_unit_needs_no_zero_point():
    fields = [
        pa.field("mjd", pa.float64()),
        with_unit(pa.field("flux", pa.float64()), "uJy"),
        ("magzpsci", pa.float64()),
    ]
    table = pa.table({"mjd": TIMES, "flux": [1.0, 2.0, 3.0], "magzpsci": [26.0] * 3}, schema=pa.schema(fields))
    epochs = Epochs.of(table)
    assert epochs.value.tolist() == [1.0, 2.0, 3.0]
    assert epochs.in_njy().value.tolist() == [1e3, 2e3, 3e3]
    assert epochs.as_mag().value[0] == pytest.approx(31.4 - 7.5)


@pytest.mark.parametrize("missing", [None, 99.0, -99.99, -999.0])
def test_an_epoch_without_a_magnitude_but_with_a_limit_is_a_non_detection(missing):
    frame = pd.DataFrame(
        {
            "mjd": TIMES,
            "mag": pd.array([18.0, missing, missing], dtype="double[pyarrow]"),
            "diffmaglim": [20.5, 20.6, np.nan],
        }
    )
    epochs = Epochs.of(frame)
    assert epochs.measured.tolist() == [True, False, False]
    assert epochs.limited.tolist() == [False, True, False]
    assert epochs.limit[1] == 20.6


def test_the_limit_of_a_flux_is_in_the_unit_of_the_fluxes():
    epochs = Epochs.of({"mjd": TIMES, "psfFlux": [np.nan, 5.0, 6.0], "magLim": [23.9, 23.9, 23.9]})
    assert epochs.limit[0] == pytest.approx(1e3)
    assert np.isnan(epochs.limit[1:]).all()
    assert epochs.as_mag().limit[0] == pytest.approx(23.9)


def test_faint_fluxes_become_limits_of_5_sigma():
    epochs = Epochs.of({"mjd": TIMES, "psfFlux": [100.0, 29.0, -50.0], "psfFluxErr": [10.0, 10.0, 10.0]}).as_mag()
    assert epochs.measured.tolist() == [True, False, False]
    assert epochs.limit[1:] == pytest.approx([31.4 - 2.5 * np.log10(50.0)] * 2)
    assert epochs.value[1] == pytest.approx(31.4 - 2.5 * np.log10(29.0)), "tables tell the magnitude still"


def test_ztf_filters_by_number_have_their_names():
    assert Epochs.of({"mjd": TIMES, "fid": [1, 2, 3], "mag": [1.0, 2.0, 3.0]}).band.tolist() == ["zg", "zr", "zi"]
    assert Epochs.of({"mjd": TIMES, "fid": [1.0, 2.0, 9.0], "mag": [1.0, 2.0, 3.0]}).band.tolist() == [
        "zg",
        "zr",
        "9.0",
    ]
    assert Epochs.of({"mjd": TIMES, "band": [1, 2, 3], "mag": [1.0, 2.0, 3.0]}).band.tolist() == ["1", "2", "3"]


def test_a_time_decades_from_the_others_is_none():
    epochs = Epochs.of({"mjd": [0.0, -2_409_998.5, np.nan, *TIMES, 60_003.0], "mag": np.full(7, 18.0)})
    assert epochs.timely.sum() == 4
    assert epochs.time_days[epochs.measured].min() == 60_000.0


def test_fluxes_of_an_unknown_unit_have_no_magnitudes():
    fields = [pa.field("mjd", pa.float64()), with_unit(pa.field("flux", pa.float64()), "adu")]
    in_adu = pa.table({"mjd": TIMES, "flux": [1.0, 2.0, 3.0]}, schema=pa.schema(fields))
    with pytest.raises(PlanError, match=r"fluxes in adu .*zero_point=.* frame\.iloc\[0\]"):
        Epochs.of(in_adu).as_mag()
    with pytest.raises(PlanError, match="fluxes in no known unit tell no AB magnitude"):
        Epochs.of({"mjd": TIMES, "flux": [1.0, 2.0, 3.0]}).as_mag()
    assert Epochs.of(in_adu, zero_point=27.5).as_mag().value == pytest.approx(27.5 - 2.5 * np.log10([1.0, 2.0, 3.0]))
    assert Epochs.of({"mjd": TIMES, "flux": [1.0, 2.0, 3.0]}).in_njy().unit is None


def test_a_zero_point_that_is_given_counts_for_fluxes_only():
    known = {"mjd": TIMES, "psfFlux": [1.0, 2.0, 3.0], "magzp": [25.0] * 3}
    assert Epochs.of(known).as_mag().value[0] == pytest.approx(31.4)
    assert Epochs.of(known, zero_point=27.5).as_mag().value[0] == pytest.approx(27.5)
    assert Epochs.of({"mjd": TIMES, "mag": [18.0] * 3}, zero_point=27.5).unit is None
    with pytest.raises(PlanError, match="zero_point=nan: need the AB magnitude of one unit"):
        Epochs.of(known, zero_point=np.nan)


@pytest.mark.parametrize(
    ("first", "name"),
    [
        (60_000.0, "MJD"),
        (15_100.0, "MJD"),
        (2_460_000.5, "JD"),
        (5_000.0, ""),
        (100_000.0, ""),
        (0.0, ""),
        (np.nan, ""),
    ],
)
def test_times_are_called_what_they_can_be(first, name):
    assert time_scale(first + np.array([0.0, 1.0, np.nan])) == name


def test_roles_may_name_the_zero_point_and_the_limit():
    roles = Roles(time="t", flux="counts", zero_point="zp", limit="deep")
    epochs = Epochs.of({"t": TIMES, "counts": [1.0, np.nan, 3.0], "zp": [31.4] * 3, "deep": [23.9] * 3}, roles)
    assert epochs.value[[0, 2]] == pytest.approx([1.0, 3.0])
    assert epochs.limit[1] == pytest.approx(1e3)

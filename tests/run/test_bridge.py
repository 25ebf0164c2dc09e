"""A catalog as a Dask DataFrame: Dask's own operations work on it, light curves and empty catalogs included."""

import numpy as np
import pyarrow as pa
import pytest

from tests.skycases import in_memory, objects_table

TABLE = objects_table(300)


@pytest.fixture(scope="module")
def curves():
    offsets = np.arange(TABLE.num_rows + 1) * 2
    times = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(np.arange(offsets[-1], dtype=float)))
    nested = pa.StructArray.from_arrays([times], fields=[pa.field("time", times.type)])
    return in_memory(TABLE.append_column("lc", nested), "curves", 50)


def test_dask_counts_filters_and_maps_rows_with_light_curves(curves):
    frame = curves.to_dask()
    assert len(frame) == TABLE.num_rows
    assert len(frame[frame.mag < 20].compute()) == (TABLE["mag"].to_numpy() < 20).sum()
    assert frame.map_partitions(len).compute().sum() == TABLE.num_rows
    assert frame["lc"].compute().nest["time"].tolist() == curves.compute()["lc"].nest["time"].tolist()


def test_a_catalog_without_partitions_is_an_empty_frame(curves):
    nowhere = in_memory(TABLE.append_column("lc", curves.to_arrow()["lc"]).slice(0, 0), "nowhere")
    assert nowhere.npartitions == 0
    frame = nowhere.to_dask().compute()
    assert len(frame) == 0
    assert list(frame.columns) == nowhere.columns

"""Several tables with light curves in one survey, ids that are texts, light curves that are longer than expected."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsdb_ts.errors import IdError
from lsdb_ts.schema import Roles
from lsdb_ts.sky import spatial_index
from lsdb_ts.store.hats import open_hats
from lsdb_ts.store.read import read_rows
from lsdb_ts.testing import hard_sky
from partitioner import Survey, Table, run, verify
from partitioner.surveys.survey import Nested


def family(folder, name, ids, seed):
    """Write parents and their children; returns the tables of the survey, and the times of each parent's children."""
    rng = np.random.default_rng(seed)
    ra, dec = hard_sky(len(ids), seed)
    owner = rng.integers(0, len(ids), 6 * len(ids))
    times = rng.permutation(owner.size).astype(float)
    named = pa.array(ids).take(pa.array(owner))
    strays = pa.array(["nobody's"] * 3 if pa.types.is_string(named.type) else [-1] * 3, named.type)
    children = {"of": pa.concat_arrays([named, strays]), "t": np.append(times, [0, 1, 2])}
    files = {kind: folder / f"{name}{kind}.parquet" for kind in ("", "_epoch")}
    pq.write_table(pa.table({"id": ids, "ra": ra, "dec": dec}), files[""])
    pq.write_table(pa.table(children), files["_epoch"], row_group_size=500)
    roles, nest = Roles(id="id", ra="ra", dec="dec"), (Nested(f"{name}_epoch", "lc"),)
    parent = Table(name, (str(files[""]),), roles, max_rows=40, nest=nest)
    child = Table(f"{name}_epoch", (str(files["_epoch"]),), Roles(parent_id="of", time="t"))
    expected = {i: sorted(times[owner == k].tolist()) for k, i in enumerate(pa.array(ids).to_pylist())}
    return (parent, child), expected


def curves(path):
    catalog = open_hats(path)
    parts = [read_rows(catalog.leaf_path(pixel), ["id", "lc"]) for pixel in catalog.layout]
    return {row["id"]: row["lc"]["t"] for row in pa.concat_tables(parts).to_pylist()}


def test_several_tables_with_light_curves_are_collections_beside_each_other(tmp_path):
    stars, of_stars = family(tmp_path, "star", np.arange(300) * 7 + 10**15, 1)
    novae, of_novae = family(tmp_path, "nova", np.arange(200), 2)

    account = run(Survey("sky", (*stars, *novae)), tmp_path / "out")

    assert curves(tmp_path / "out" / "sky") == of_stars
    assert curves(tmp_path / "out" / "nova" / "nova") == of_novae
    assert {t.table: t.orphans for t in account.tables} == {"star": 0, "star_epoch": 3, "nova": 0, "nova_epoch": 3}
    for collection in (tmp_path / "out", tmp_path / "out" / "nova"):
        assert verify(collection).ok


def test_ids_that_are_texts_find_their_rows(tmp_path):
    names = [f"ZTF{i % 100:02d}{'abcdefg'[i % 7]}{i:06d}" for i in range(300)] + [f"s{i}" for i in range(20)]
    tables, expected = family(tmp_path, "object", names, 3)

    run(Survey("alerts", tables), tmp_path / "out")

    assert curves(tmp_path / "out" / "alerts") == expected
    assert verify(tmp_path / "out").ok


def test_a_text_that_comes_twice_is_named(tmp_path):
    tables, _ = family(tmp_path, "object", ["a", "b", "ZTF18abcdefg", "c", "ZTF18abcdefg"], 4)

    with pytest.raises(IdError, match=r'id ZTF18abcdefg of the table "object" is not unique: row 2 .* and row 4'):
        run(Survey("alerts", tables), tmp_path / "out")


def test_a_partition_whose_light_curves_are_longer_than_expected_is_named(tmp_path):
    """One object in ten thousand has nearly all the epochs, and these have no positions that would tell."""
    ra, dec = hard_sky(400, seed=5)
    owner = np.append(np.arange(400), np.full(20_000, 123))
    pq.write_table(pa.table({"id": np.arange(400), "ra": ra, "dec": dec}), tmp_path / "star.parquet")
    pq.write_table(pa.table({"of": owner, "t": np.arange(owner.size) * 1.0}), tmp_path / "epoch.parquet")
    roles = Roles(id="id", ra="ra", dec="dec")
    nest = (Nested("epoch", "lc"),)
    star = Table("star", (str(tmp_path / "star.parquet"),), roles, max_bytes=30_000, nest=nest)
    epoch = Table("epoch", (str(tmp_path / "epoch.parquet"),), Roles(parent_id="of", time="t"))

    catalog = run(Survey("sky", (star, epoch)), tmp_path / "out").catalogs[0]

    layout = open_hats(tmp_path / "out" / "sky").layout
    home = layout[int(layout.leaf_of(spatial_index(ra[123:124], dec[123:124]))[0])]
    assert str(home) in catalog.dense
    assert len(catalog.dense) < len(layout) / 4

"""Catalogs put together hold the rows of all, in any layout, with columns that lose nothing."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lsdb_ts.catalog.joins import concat
from lsdb_ts.errors import PlanError
from lsdb_ts.plan.joining.promote import promoted
from lsdb_ts.schema import Roles, unit_of, with_unit
from lsdb_ts.sky.sphere import separation_arcsec
from lsdb_ts.testing import assert_reads
from tests.oracles import pairs_within
from tests.skycases import in_memory, neighbours_table, objects_table, on_disk

ONE = objects_table(1500, seed=21)
TWO = (
    neighbours_table(objects_table(1000, seed=22))
    .rename_columns(["objectId", "ra", "dec", "gmag", "junk"])
    .set_column(4, "junk", pa.array(np.arange(1000, dtype=np.int16)))
)
LAYOUTS = [(100_000, 100_000), (50, 700), (700, 60)]
FRAME = pd.concat([ONE.to_pandas(), TWO.to_pandas()])


def both(one_rows: int, two_rows: int, **tables: pa.Table):
    return concat(
        [in_memory(tables.get("one", ONE), "one", one_rows), in_memory(tables.get("two", TWO), "two", two_rows)]
    )


def rows_of(frame) -> list[tuple]:
    columns = ["objectId", "ra", "dec", "mag", "junk", "gmag"]
    return sorted(tuple(-99.0 if pd.isna(v) else float(v) for v in row) for row in frame[columns].to_numpy(object))


def test_the_rows_of_all_are_there_in_every_layout():
    for layout in LAYOUTS:
        made = both(*layout)
        assert made.columns == ["objectId", "ra", "dec", "mag", "junk", "gmag"]
        assert made.schema.field("junk").type == pa.float64()
        frame = made.compute()
        assert frame.index.is_monotonic_increasing
        assert rows_of(frame) == rows_of(FRAME)
        assert len(made) == made.plan.count == 2500


def test_columns_and_rows_are_pushed_to_those_who_have_them(tmp_path):
    made = concat([on_disk(tmp_path / "1", ONE, "one", 300), on_disk(tmp_path / "2", TWO, "two", 300)])
    with assert_reads({"gmag"}, tmp_path / "2"):
        frame = made[["gmag"]].compute()
    assert frame["gmag"].notna().sum() == 1000
    with assert_reads({"objectId", "mag"}, tmp_path / "1"):
        found = made.query("mag < 17")[["objectId"]].compute()
    assert sorted(found["objectId"]) == sorted(FRAME[FRAME.mag < 17].objectId)
    assert made.plan.limits("objectId") == (0, 10_999)
    assert made.plan.limits("gmag") == (TWO["gmag"].to_numpy().min(), TWO["gmag"].to_numpy().max())
    with pytest.raises(PlanError, match="has no column"):
        made[["gmagg"]]


def test_a_concat_can_be_matched_on_either_side_and_cut():
    stars = neighbours_table(ONE, seed=33).slice(0, 800)
    ra, dec = FRAME["ra"].to_numpy(), FRAME["dec"].to_numpy()
    rows, partners, _ = pairs_within(stars["ra"].to_numpy(), stars["dec"].to_numpy(), ra, dec, 0.3)
    expected = sorted(
        zip(stars["starId"].to_numpy()[rows].tolist(), FRAME["objectId"].to_numpy()[partners].tolist(), strict=True)
    )
    for layout in LAYOUTS:
        made = both(*layout)
        for frame in (
            in_memory(stars, "s", 130).crossmatch(made, radius_arcsec=0.3, n_neighbors=2000).compute(),
            made.crossmatch(in_memory(stars, "s", 130), radius_arcsec=0.3, n_neighbors=2000).compute(),
        ):
            assert sorted(zip(frame.starId, frame.objectId, strict=True)) == expected
        cut = made.cone_search(0.0, -90.0, 30_000.0).compute()
        assert rows_of(cut) == rows_of(FRAME[separation_arcsec(ra, dec, 0.0, -90.0) <= 30_000.0])


def test_three_catalogs_and_one_twice():
    one = in_memory(ONE, "one", 100)
    made = one.concat(in_memory(TWO, "two", 200), one)
    assert made.name == "one_and_two"
    assert len(made.compute()) == 4000


def test_accounts_of_all_are_kept():
    one, two = in_memory(ONE, "one", 100), in_memory(TWO, "two", 200)
    matched = one.crossmatch(in_memory(ONE, "three", 300), radius_arcsec=0.1)
    account = concat([matched.rename(columns={"ra_one": "ra", "dec_one": "dec"}), two]).account()
    assert account == matched.account()


def curves(kind: pa.DataType, n: int) -> pa.StructArray:
    values = pa.array([[float(i), i + 1.0] for i in range(n)], pa.list_(kind))
    return pa.StructArray.from_arrays([values], names=["flux"])


def test_light_curves_of_different_precision_become_one():
    one = ONE.append_column("lc", curves(pa.float32(), 1500))
    made = both(100, 100, one=one, two=TWO.append_column("lc", curves(pa.float64(), 1000)))
    assert made.schema.field("lc").type == pa.struct([("flux", pa.list_(pa.float64()))])
    flat = made.compute()["lc"].nest.to_flat()
    assert flat["flux"].sum() == sum(2 * i + 1 for i in range(1500)) + sum(2 * i + 1 for i in range(1000))
    alone = both(100, 100, one=one).compute()
    assert alone["lc"].isna().sum() == 1000


def test_what_does_not_agree_is_said_at_once():
    text = TWO.set_column(0, "objectId", pa.array([str(i) for i in range(1000)]))
    with pytest.raises(PlanError, match=r'"objectId" is int64 in one and string in two: no type holds both'):
        both(100, 100, two=text)
    units = [
        pa.table(t.columns, schema=t.schema.set(3, with_unit(t.schema.field(3).with_name("m"), unit)))
        for t, unit in ((ONE, "mag"), (TWO, "mmag"))
    ]
    with pytest.raises(PlanError, match=r'"m" is mag in one and mmag in two: convert one'):
        both(100, 100, one=units[0], two=units[1])
    other = TWO.rename_columns(["objectId", "lon", "lat", "gmag", "junk"])
    import lsdb_ts as lt

    with pytest.raises(PlanError, match="positions of one are ra, dec and those of two are lon, lat"):
        concat([in_memory(ONE, "one"), lt.from_dataframe(other.to_pandas(), ra="lon", dec="lat", name="two")])
    with pytest.raises(PlanError, match="at least one"):
        concat([])


@pytest.mark.parametrize(
    ("one", "two", "result"),
    [
        (pa.int8(), pa.int64(), pa.int64()),
        (pa.uint32(), pa.int32(), pa.int64()),
        (pa.uint64(), pa.int64(), None),
        (pa.int32(), pa.float64(), pa.float64()),
        (pa.int32(), pa.float32(), pa.float64()),
        (pa.int16(), pa.float32(), pa.float32()),
        (pa.int64(), pa.float64(), None),
        (pa.null(), pa.string(), pa.string()),
        (pa.string(), pa.large_string(), pa.large_string()),
        (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.string()),
        (pa.bool_(), pa.int8(), None),
        (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("us")),
        (pa.timestamp("s", "UTC"), pa.timestamp("s"), None),
        (pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.large_list(pa.float64())),
        (pa.struct([("a", pa.int8())]), pa.struct([("b", pa.int8())]), None),
    ],
)
def test_types_are_promoted_without_loss_or_not_at_all(one, two, result):
    assert promoted(one, two) == promoted(two, one) == result


def test_a_unit_that_one_table_tells_is_kept_and_a_role_is_played_once():
    def tagged(table, unit, **roles):
        schema = table.schema if unit is None else table.schema.set(3, with_unit(table.schema.field(3), unit))
        return table.cast(Roles(**roles).tag(schema))

    one = tagged(ONE, None, id="objectId", time="junk")
    two = tagged(TWO.rename_columns(["starId", "ra", "dec", "mag", "seen"]), "mag", id="starId", time="seen", mag="mag")
    for layout in LAYOUTS:
        schema = both(*layout, one=one, two=two).schema
        assert unit_of(schema.field("mag")) == "mag"
        roles = Roles.of(schema)
        assert (roles.id, roles.time, roles.mag) == ("objectId", "junk", "mag")
        turned = concat([in_memory(two, "two", layout[1]), in_memory(one, "one", layout[0])]).schema
        assert unit_of(turned.field("mag")) == "mag"
        assert (Roles.of(turned).id, Roles.of(turned).time) == ("starId", "seen")

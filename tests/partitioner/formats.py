"""One table in every format, each written by the format's own library, for the tests of the readers."""

import dataclasses
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet as pq

from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import spatial_index
from lsdb_ts.testing import hard_sky

N = 1000
TYPES = {
    "id": "int64",
    "ra": "float64",
    "dec": "float64",
    "small": "int16",
    "mag": "float32",
    "name": "string",
    "word": "string",
    "good": "bool",
    "seen": "timestamp[us]",
}
KINDS = {
    **{name: pa.type_for_alias(kind) for name, kind in TYPES.items()},
    "curve": pa.list_(pa.float64()),
    "pair": pa.list_(pa.int32()),
    "lc": pa.struct([("t", pa.list_(pa.float64())), ("band", pa.list_(pa.string()))]),
}


def rows() -> pa.Table:
    """Draw a table with everything that a format may hold."""
    rng = np.random.default_rng(1)
    ra, dec = hard_sky(N, 5)
    nothing = rng.uniform(size=N) < 0.1
    lengths = rng.integers(0, 4, N)
    curves = [rng.normal(size=n).tolist() for n in lengths]
    words = np.array(["", "star", "a, b", 'the "one"', "QSO"])[rng.integers(0, 5, N)]
    columns = {
        "id": np.arange(N) * 977 - 3,
        "ra": ra,
        "dec": dec,
        "small": pa.array(rng.integers(-999, 999, N), pa.int16(), mask=nothing),
        "mag": pa.array(np.where(rng.uniform(size=N) < 0.1, np.nan, rng.normal(size=N)), pa.float32(), mask=nothing),
        "name": pa.array(np.array(["Ångström", "α Cen", "日本"])[rng.integers(0, 3, N)].tolist(), mask=nothing),
        "word": words.tolist(),
        "good": pa.array(rng.uniform(size=N) < 0.5, mask=nothing),
        "seen": rng.integers(10**15, 2 * 10**15, N).astype("M8[us]"),
        "curve": curves,
        "pair": rng.integers(0, 99, (N, 2)).tolist(),
        "lc": [{"t": c, "band": ["g"] * len(c)} for c in curves],
    }
    return pa.table({name: pa.array(values, KINDS[name]) for name, values in columns.items()})


ROWS = rows()


@dataclasses.dataclass(frozen=True)
class Written:
    """Files of a format, and what comes back from them."""

    name: str
    """The file, or the folder."""
    write: Callable[[pa.Table, Path], None]
    lacks: tuple[str, ...] = ()
    """Columns that the format cannot hold."""
    becomes: Callable[[pa.Table], pa.Table] = lambda table: table
    """What the format makes of the values."""
    guessed: bool = False
    """Whether types must be told, because the format does not."""


def write_arrow(table: pa.Table, path: Path, compression: str | None = None) -> None:
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=130)


def write_stream(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=130)


def write_csv_gz(table: pa.Table, path: Path) -> None:
    with gzip.open(path, "wb") as file:
        pa.csv.write_csv(table, file)


def as_astropy(table: pa.Table):
    from astropy.table import MaskedColumn
    from astropy.table import Table as AstropyTable

    made = AstropyTable()
    for name, column in zip(table.column_names, table.columns, strict=True):
        nothing = column.is_null().to_numpy()
        if pa.types.is_list(column.type) and name == "pair":
            made[name] = np.array(column.to_pylist(), "i4")
        elif pa.types.is_list(column.type):
            made[name] = np.array(
                [np.ma.array(v, "f8", mask=[False] * len(v)) for v in column.to_pylist()] + [None], dtype=object
            )[:-1]
        else:
            fill = "" if pa.types.is_string(column.type) else False if pa.types.is_boolean(column.type) else 0
            values = column.fill_null(fill).to_numpy(zero_copy_only=False)
            values = values.astype(str) if pa.types.is_string(column.type) else values
            made[name] = MaskedColumn(values, mask=nothing) if nothing.any() else values
    return made


def write_ecsv(table: pa.Table, path: Path) -> None:
    as_astropy(table).write(path, format="ascii.ecsv")


def write_fits(table: pa.Table, path: Path) -> None:
    made = as_astropy(without_nulls(table.drop_columns(["curve"]), "good"))
    made["small"].fill_value = -32768
    from astropy.io import fits

    hdu = fits.BinTableHDU(made)
    curves = np.array([np.array(v) for v in table["curve"].to_pylist()] + [None], dtype=object)[:-1]
    more = fits.ColDefs([fits.Column("curve", "PD()", array=curves)])
    fits.BinTableHDU.from_columns(hdu.columns + more, header=hdu.header).writeto(path)


def write_votable(table: pa.Table, path: Path, form: str = "tabledata") -> None:
    as_astropy(table).write(path, format="votable", tabledata_format=form)


def as_in_fits(table: pa.Table) -> pa.Table:
    """Return a table as astropy writes it: with nulls of integers only, and arrays of variable length at the end."""
    names = [name for name in table.column_names if name != "curve"]
    return without_nulls(table, "mag", "good").select([*names, "curve"])


def without_nulls(table: pa.Table, *names: str) -> pa.Table:
    """Return a table whose nulls are what stands for them: NaN, false, or an empty text."""
    for name in names:
        fill = {"mag": np.nan, "good": False}.get(name, "")
        table = table.set_column(table.column_names.index(name), name, table[name].fill_null(fill))
    return table


def with_nulls(table: pa.Table, *names: str) -> pa.Table:
    """Return a table that has null for what the format cannot tell from it: NaN, or an empty text."""
    for name in names:
        column = table[name].combine_chunks()
        hidden = column.is_null(nan_is_null=True) if pa.types.is_floating(column.type) else pa.compute.equal(column, "")
        values = pa.compute.if_else(pa.compute.fill_null(hidden, True), None, column)
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def write_hats(table: pa.Table, path: Path) -> None:
    place = spatial_index(table["ra"].to_numpy(), table["dec"].to_numpy())
    leaf = path / "dataset" / "Norder=0" / "Dir=0" / "Npix=0.parquet"
    leaf.parent.mkdir(parents=True)
    pq.write_table(table.add_column(0, HEALPIX, pa.array(place)), leaf, row_group_size=130)
    (path / "partition_info.csv").write_text("Norder,Npix\n0,0\n")
    told = {"dataproduct_type": "object", "hats_col_ra": "ra", "hats_col_dec": "dec", "obs_collection": "old"}
    (path / "hats.properties").write_text("".join(f"{k}={v}\n" for k, v in told.items()))


def write_hipscat(table: pa.Table, path: Path) -> None:
    leaf = path / "Norder=0" / "Dir=0" / "Npix=0.parquet"
    leaf.parent.mkdir(parents=True)
    more = {"_hipscat_index": pa.array(np.arange(N), pa.uint64()), "Norder": pa.array(np.zeros(N, "u1"))}
    more |= {"Dir": pa.array(np.zeros(N, "u8")), "Npix": pa.array(np.zeros(N, "u8"))}
    for name, values in more.items():
        table = table.append_column(name, values)
    pq.write_table(table, leaf, row_group_size=130)
    pq.write_metadata(table.schema, path / "_common_metadata")
    (path / "partition_info.csv").write_text(f"Norder,Dir,Npix,num_rows\n0,0,0,{N}\n")
    info = {"catalog_name": "old", "catalog_type": "object", "ra_column": "ra", "dec_column": "dec", "total_rows": N}
    (path / "catalog_info.json").write_text(json.dumps(info))


NO_LISTS = ("curve", "pair", "lc")
WRITTEN = {
    "parquet": [Written("a.parquet", lambda t, p: pq.write_table(t, p, row_group_size=130))],
    "arrow": [
        Written("a.arrow", write_arrow),
        Written("a.feather", lambda t, p: write_arrow(t, p, "zstd")),
        Written("a.ipc", write_stream),
    ],
    "csv": [
        Written("a.csv", pa.csv.write_csv, NO_LISTS, guessed=True),
        Written("a.csv.gz", write_csv_gz, NO_LISTS, guessed=True),
        Written(
            "a.tsv",
            lambda t, p: pa.csv.write_csv(t, p, pa.csv.WriteOptions(delimiter="\t")),
            NO_LISTS,
            guessed=True,
        ),
    ],
    "ecsv": [Written("a.ecsv", write_ecsv, ("lc", "seen"), lambda t: with_nulls(t, "word"))],
    "fits": [
        Written("a.fits", write_fits, ("lc", "seen", "name"), as_in_fits),
        Written("a.fits.gz", write_fits, ("lc", "seen", "name"), as_in_fits),
    ],
    "votable": [
        Written("a.vot", write_votable, ("lc", "seen"), lambda t: with_nulls(without_nulls(t, "name"), "mag")),
        Written(
            "a.xml",
            lambda t, p: write_votable(t, p, "binary2"),
            ("lc", "seen"),
            lambda t: with_nulls(without_nulls(t, "name"), "mag"),
        ),
    ],
    "hats": [Written("old", write_hats)],
    "hipscat": [Written("old", write_hipscat)],
}
CASES = [(kind, written) for kind, listed in WRITTEN.items() for written in listed]

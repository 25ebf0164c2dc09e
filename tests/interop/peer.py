"""Runs inside the peers' environment: jobs come as JSON on stdin, reports go as JSON to the last line of stdout.

Nothing of lsdb_ts can be imported there, and nothing of the peers is imported before a job needs it.
"""

import json
import logging
import sys
import warnings
from pathlib import Path

COLUMN = "_healpix_29"


def validate(path: str) -> dict:
    """Let `hats` judge a catalog or a collection by its strict rules; what it complains of comes back too."""
    from hats.io.validation import is_collection_info_valid, is_valid_catalog, is_valid_collection

    complaints: list[str] = []
    listener = logging.Handler()
    listener.emit = lambda record: complaints.append(record.getMessage())
    logging.getLogger().addHandler(listener)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        collection = is_collection_info_valid(path)
        valid = (is_valid_collection if collection else is_valid_catalog)(path, strict=True)
    logging.getLogger().removeHandler(listener)
    complaints += [str(w.message) for w in caught if "hats" in str(w.filename)]
    return {"valid": bool(valid), "collection": bool(collection), "complaints": complaints}


def verify(path: str, out: str) -> dict:
    """Let the verifier of `hats-import` judge a catalog; which of its tests failed comes back too."""
    from hats_import.verification.arguments import VerificationArguments
    from hats_import.verification.run_verification import run

    verifier = run(VerificationArguments(input_catalog_path=path, output_path=out, verbose=False))
    failed = [f"{result.test}: {result.target}" for result in verifier.results if not result.passed]
    return {"passed": bool(verifier.all_tests_passed), "failed": failed}


def rows(path: str, out: str) -> dict:
    """Open a catalog with LSDB and keep all it computes."""
    import lsdb

    catalog = lsdb.open_catalog(path, columns="all")
    keep(catalog.compute(), out)
    margin = catalog.margin
    return {
        "rows": len(catalog),
        "pixels": sorted([int(p.order), int(p.pixel)] for p in catalog.get_healpix_pixels()),
        "nested": list(catalog.nested_columns),
        "margin_arcsec": None if margin is None else float(margin.hc_structure.catalog_info.margin_threshold),
    }


def write_again(path: str, out: str) -> dict:
    """Write the rows of a catalog as another one with LSDB."""
    import lsdb

    lsdb.open_catalog(path, columns="all").write_catalog(out, catalog_name="again", progress_bar=False)
    return {}


def crossmatch(left: str, right: str, columns: list, out: str, cone: list | None = None, **options) -> dict:
    """Crossmatch two catalogs with LSDB, within a cone (ra, dec, radius_arcsec) on request; margins as they are stored.

    Options are those of LSDB's verb.
    """
    import lsdb

    opened = lsdb.open_catalog(left, columns="all")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pairs = (opened if cone is None else opened.cone_search(*cone)).crossmatch(
            lsdb.open_catalog(right, columns="all"),
            suffixes=("_left", "_right"),
            suffix_method="all_columns",
            **options,
        )
    keep(pairs[columns].compute(), out)
    return {"warnings": [str(w.message) for w in caught if issubclass(w.category, RuntimeWarning)]}


def crossmatch_nested(left: str, right: str, out: str, **options) -> dict:
    """Nest the partners of each row with LSDB, and keep the pairs; options are those of LSDB's verb."""
    import lsdb

    nested = lsdb.open_catalog(left, columns="all").crossmatch_nested(
        lsdb.open_catalog(right, columns="all"), nested_column_name="partners", **options
    )
    frame = nested[["id", "partners"]].compute()
    keep(pairs_of(frame), out)
    return {"rows": len(frame)}


def pairs_of(frame):
    """Return one row for each partner in the column "partners", and for each row without."""
    partners = frame["partners"].copy()
    partners.index = frame["id"].to_numpy()
    flat = partners.nest.to_flat()[["id", "_dist_arcsec"]]
    pairs = flat.rename(columns={"id": "id_right"}).rename_axis("id_left").reset_index()
    return frame[["id"]].rename(columns={"id": "id_left"}).merge(pairs, how="left", on="id_left")


def import_collection(
    name: str, files: list, reader: str, ra: str, dec: str, max_rows: int, margin_arcsec: float, out: str
) -> dict:
    """Make a collection with hats-import and its default options, but for small partitions."""
    from dask.distributed import Client
    from hats_import import CollectionArguments, pipeline_with_client

    made = (
        CollectionArguments(output_artifact_name=name, output_path=out, progress_bar=False)
        .catalog(input_file_list=files, file_reader=reader, ra_column=ra, dec_column=dec, pixel_threshold=max_rows)
        .add_margin(margin_threshold=margin_arcsec, is_default=True)
    )
    with Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as client:
        pipeline_with_client(made, client)
    return {"path": str(Path(out) / name)}


def id_search(path: str, column: str, values: list, out: str) -> dict:
    """Look rows up by id with LSDB, through the index that the collection names."""
    import lsdb

    found = lsdb.open_catalog(path, columns="all").id_search(values={column: values})
    keep(found.compute(), out)
    return {"pixels": sorted([int(p.order), int(p.pixel)] for p in found.get_healpix_pixels())}


def join_through(left: str, right: str, through: str, out: str) -> dict:
    """Join two catalogs with LSDB through an association."""
    import lsdb

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pairs = lsdb.open_catalog(left, columns="all").join(
            lsdb.open_catalog(right, columns="all"),
            through=lsdb.read_hats(through, columns="all"),
            suffixes=("_left", "_right"),
            suffix_method="overlapping_columns",
        )
    keep(pairs.compute(), out)
    return {"warnings": [str(w.message) for w in caught if issubclass(w.category, RuntimeWarning)]}


def write_association(left: str, right: str, radius_arcsec: float, out: str) -> dict:
    """Crossmatch two catalogs with LSDB and let it write the pairs as an association."""
    import lsdb
    from lsdb.io.to_association import to_association

    pairs = lsdb.open_catalog(left, columns="all").crossmatch(
        lsdb.open_catalog(right, columns="all"),
        radius_arcsec=radius_arcsec,
        suffixes=("_left", "_right"),
        suffix_method="all_columns",
    )
    to_association(
        pairs[["id_left", "id_right", "_dist_arcsec"]],
        base_catalog_path=out,
        catalog_name="pairs",
        primary_catalog_dir=left,
        primary_column_association="id_left",
        primary_id_column="id",
        join_catalog_dir=right,
        join_column_association="id_right",
        join_id_column="id",
        separation_column="_dist_arcsec",
    )
    return {}


def statistics(path: str, columns: list, out: str) -> dict:
    """Let LSDB tell the statistics of each partition, from the table of them, and the thumbnail's first columns."""
    import hats
    import lsdb

    catalog = lsdb.open_catalog(path, columns="all")
    catalog.per_partition_statistics(include_columns=columns).reset_index(drop=True).to_parquet(out)
    structure = catalog.hc_structure
    thumbnail = hats.io.file_io.read_parquet_file_to_pandas(structure.catalog_base_dir / "data_thumbnail.parquet")
    return {
        "thumbnail": len(thumbnail),
        "columns": list(thumbnail.columns),
        "properties": {k: str(v) for k, v in structure.catalog_info.model_dump(by_alias=True).items() if v is not None},
    }


def margin_rows(path: str, margin: str | None, out: str) -> dict:
    """Open a collection with one of its margins, the default one if none is named, and keep the margin's rows."""
    import lsdb

    catalog = lsdb.open_catalog(path, columns="all", margin_cache=margin)
    keep(catalog.margin.compute(), out)
    return {
        "margin_arcsec": float(catalog.margin.hc_structure.catalog_info.margin_threshold),
        "pixels": sorted([int(p.order), int(p.pixel)] for p in catalog.margin.get_healpix_pixels()),
    }


def keep(frame, out: str) -> None:
    """Write a frame, with its index as a column, so that the other side can compare it row by row."""
    frame.reset_index().to_parquet(out)


_JOBS = (
    validate,
    verify,
    rows,
    write_again,
    crossmatch,
    crossmatch_nested,
    import_collection,
    id_search,
    join_through,
    write_association,
    statistics,
    margin_rows,
)
JOBS = {job.__name__: job for job in _JOBS}


def main() -> None:
    reports = [JOBS[job.pop("job")](**job) for job in json.load(sys.stdin)]
    print("\n" + json.dumps(reports))


if __name__ == "__main__":
    main()

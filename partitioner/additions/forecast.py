"""What adding a night would do: rows, partitions, orphans and bytes, as far as they can be known; nothing is written.

That it is done is the work of ``append``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from partitioner.account import Tally
from partitioner.additions.archive import Archive
from partitioner.additions.columns import Differing
from partitioner.additions.night import open_night
from partitioner.additions.report import Forecast, Received, Touched
from partitioner.additions.sorting import Sorting
from partitioner.additions.switch import SCRATCH
from partitioner.inputs.tables import width_of
from partitioner.planning.product import margin_targets


def forecast_append(
    path: str | Path,
    files: Mapping[str, Sequence[str]],
    *,
    on_bad: str | None = None,
    drop: Sequence[str] = (),
    null: Sequence[str] = (),
    cast: Sequence[str] = (),
    show: bool | None = None,
) -> Forecast:
    """Tell what :func:`append` would do with some files: reads them, and the ids of the archive; writes nothing.

    Parameters
    ----------
    path : str or pathlib.Path
        Folder that a repartition made.
    files : mapping of str to sequence of str
    on_bad, drop, null, cast
        As :func:`append` takes them.
    show : bool, optional
        Whether to show progress; by default where a person is looking.

    Returns
    -------
    Forecast
        Rows that are there already are known only of objects: others are found when their partition is read.

    Raises
    ------
    PlanError, InputError
        What :func:`append` would raise before it writes.
    """
    archive = Archive.open(path)
    allowed = Differing(tuple(drop), tuple(null), tuple(cast))
    night = open_night(archive, files, archive.root / SCRATCH, on_bad, allowed)
    sorting = Sorting(archive, night, None, show)
    sorting.run()
    names = [name for name in archive.collections if _gets_rows(sorting, name)]
    return Forecast(
        out=str(archive.root),
        files=night.files,
        skipped=night.skipped,
        columns=night.columns,
        tables=tuple(r for name in names for r in _received(sorting, name)),
        catalogs=tuple(touched for name in names if (touched := _touched(sorting, name)).partitions),
    )


def _gets_rows(sorting: Sorting, name: str) -> bool:
    nested = [n.table for n in sorting.archive.survey.table(name).nest]
    return any(n in sorting.reports for n in (name, *nested))


def _received(sorting: Sorting, name: str) -> Iterator[Received]:
    """Yield what would become of new rows, were none of them there but the objects that are known."""
    if name in sorting.reports:
        yield sorting.placed(name, Tally(sum(sorting.tiles_of(name, "placed").values())), 0)
    for nested in sorting.archive.survey.table(name).nest:
        if nested.table in sorting.reports:
            yield sorting.nested(name, nested, Tally(sum(sorting.tiles_of(nested.table, "nested").values())), 0)


def _touched(sorting: Sorting, name: str) -> Touched:
    """Return the partitions that would get rows, and about what would be written."""
    archive = sorting.archive
    catalog, nest = archive.collections[name].catalog, archive.survey.table(name).nest
    rows = [(name, sorting.tiles_of(name, "placed")), *((n.table, sorting.tiles_of(n.table, "nested")) for n in nest)]
    targets = margin_targets(catalog.layout)
    pixels = [targets[tile] for tile in sorted({tile for _, tiles in rows for tile in tiles})]
    there = set(catalog.layout)
    old = [pixel for pixel in pixels if pixel in there]
    new = sum(n * _row_bytes(archive, table) for table, tiles in rows for n in tiles.values())
    # Light curves are written anew with what is new in them, plain rows beside what there is.
    anew = sum(Path(str(file)).stat().st_size for pixel in old for file in catalog.leaf_files(pixel)) if nest else 0
    return Touched(
        path=Path(str(catalog.path)).relative_to(archive.root).as_posix(),
        rows=sum(n for _, tiles in rows for n in tiles.values()),
        partitions=len(pixels),
        new_partitions=len(pixels) - len(old),
        of_partitions=len(there),
        bytes=anew + new,
    )


def _row_bytes(archive: Archive, table: str) -> int:
    """Return about how many bytes a row of a table takes, before it is compressed."""
    return sum(width_of(column.type) for column in archive.stored_fields(table).values())

"""One collection on its way to its next state: partitions with new rows, margins, indexes; links to all that stays.

Which rows are new is known before; that anybody sees the next state is the business of ``switch``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import InputError, RunError
from lsdb_ts.run.pool import each
from lsdb_ts.run.progress import stage
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Pixel
from lsdb_ts.store.finish import write_collection
from lsdb_ts.store.read import read_rows
from lsdb_ts.store.write import FOLDERS, Leaf, leaf_files
from partitioner.additions.archive import Collection, name_in
from partitioner.additions.indexes import grow_index, index_rows
from partitioner.additions.leaves import Done, Growth, Target, grow, grow_margin, new_rows, targets_of, touched_tiles
from partitioner.additions.member import Member, joined
from partitioner.additions.report import Written
from partitioner.moving.spill import write_index
from partitioner.planning.census import Limits


def carried_out(
    function: Callable[[Any, Any], Any], shared: Any, items: Sequence[Any], name: str, show: bool | None
) -> list[Any]:
    """Do pieces of work, and return what became of each; raises what is wrong with the input, or RunError."""
    found = []
    with stage(name, len(items), "pieces", show) as advance:
        for outcome in each(function, items, shared):
            if outcome.failure is not None:
                raise RunError(
                    f"{name}: {outcome.failure.item}: {outcome.failure.error}; nothing was changed. "
                    "Start the same command again",
                    [outcome.failure],
                )
            if isinstance(outcome.value, InputError):
                raise outcome.value
            found.append(outcome.value)
            advance(1)
    return found


@dataclass(frozen=True, eq=False)
class Growing:
    """What is done to one collection."""

    collection: Collection
    work: Growth
    limits: Limits
    generation: int
    root: Path
    """Folder of the archive."""
    show: bool | None

    @property
    def names(self) -> dict[str, str]:
        """The name of the catalog and of each margin in the next state, by the present one."""
        return names_in(self.generation, self.collection)

    def tiles_done(self, tiles: Sequence[int]) -> list[Done]:
        """Write the partitions that get new rows."""
        done: list[Done] = carried_out(grow, self.work, tiles, f"add to {self.collection.catalog.name}", self.show)
        return sorted(done, key=lambda d: d.tile)

    def finish(self, done: Sequence[Done], staged: Path, extra: Mapping[str, str]) -> list[Written]:
        """Make margins, links, metadata and indexes, and put the list of the next state's members aside.

        Parameters
        ----------
        done : sequence of Done
            Partitions, in sequence.
        staged : pathlib.Path
            Folder for ``collection.properties``.
        extra : mapping of str to str
            What the catalog says of itself that has changed.
        """
        leaves = {self.work.tiles[d.tile]: d.leaf for d in done if d.leaf is not None}
        written = [self._member(self.work.catalog, leaves, self._too_large(done), extra)]
        for number, batches in enumerate(targets_of(done, len(self.work.margins))):
            write_index(self.work.margin_place(number), batches)
            targets = [Target(number, tile) for tile in touched_tiles(batches)]
            margin = self.work.margins[number]
            made = carried_out(grow_margin, self.work, targets, f"add to {margin.old.path.name}", self.show)
            written.append(self._member(margin, {self.work.tiles[t.tile]: leaf for t, leaf in made}))
        indexes = self._indexes(sorted(leaves, key=lambda p: p.start))
        staged.mkdir(parents=True, exist_ok=True)
        write_collection(staged, self.collection.listing(self.names, indexes))
        return written

    def _member(
        self,
        member: Member,
        leaves: Mapping[Pixel, Leaf],
        too_large: tuple[str, ...] = (),
        extra: Mapping[str, str] | None = None,
    ) -> Written:
        """Link what stays of a catalog, and write its metadata."""
        before = list(member.old.layout)
        gone = [p for p in before if p in leaves and not member.adds]
        stays = [p for p in before if p not in leaves or member.adds]
        for pixel in stays:
            member.link(pixel)
        kept = member.kept_leaves(stays, gone)
        merged = {p: joined([kept[p], leaf]) if p in kept else leaf for p, leaf in leaves.items()}
        all_leaves = {**kept, **merged}
        member.finish(list(all_leaves.values()), extra or {})
        return Written(
            path=self._relative(member.root),
            replaces=self._relative(Path(str(member.old.path))),
            rows=sum(leaf.rows for leaf in all_leaves.values()),
            partitions=len(all_leaves),
            size=sum(leaf.bytes for leaf in all_leaves.values()),
            new_partitions=len(all_leaves) - len(before),
            files=len(leaves),
            bytes=sum(leaf.bytes for leaf in leaves.values()),
            too_large=too_large,
        )

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _too_large(self, done: Sequence[Done]) -> tuple[str, ...]:
        rows, size = self.limits.rows or float("inf"), self.limits.bytes or float("inf")
        return tuple(str(self.work.tiles[d.tile]) for d in done if d.rows > rows or d.bytes > size)

    def _indexes(self, pixels: Sequence[Pixel]) -> dict[str, str]:
        """Make the next state of the indexes that are up to date; return their names."""
        named = {}
        for column, folder in self.collection.indexes.items():
            if "." in column or column not in self.work.catalog.schema.names:
                continue
            root = folder.with_name(name_in(self.generation, folder.name))
            tables = [index_rows(self._new_rows(pixel, column), column, pixel) for pixel in pixels]
            schema = pa.schema([self.work.catalog.schema.field(column)]).empty_table()
            rows = pa.concat_tables(tables) if tables else schema
            grow_index(folder, root, self.work.catalog.root, rows, self.work.catalog.mark)
            named[column] = root.name
        return named

    def _new_rows(self, pixel: Pixel, column: str) -> pa.Table:
        """Return ids and places of the rows that are new in a partition."""
        if self.work.replaces:
            (tile,) = self.work.tiles.overlapping(pixel.start, pixel.stop)
            return new_rows(self.work, tile).select([column, HEALPIX])
        member = self.work.catalog
        files = [f for f in leaf_files(member.root, pixel, FOLDERS) if f.name == member.file_name(pixel)]
        return pa.concat_tables([read_rows(file, [column, HEALPIX]) for file in files])


def names_in(generation: int, collection: Collection) -> dict[str, str]:
    """Return the names of a collection's catalog and margins in another state, by the present ones."""
    members = (collection.catalog, *collection.margins)
    return {member.path.name: name_in(generation, member.path.name) for member in members}


def member_of(collection: Collection, old: Any, generation: int, form: str) -> Member:
    """Return a catalog or margin of a collection on its way to another state."""
    names = names_in(generation, collection)
    primary = names[collection.catalog.path.name] if old is not collection.catalog else None
    root = collection.folder / names[old.path.name]
    return Member(dataclasses.replace(old, margin=None), root, form, primary, f".{generation}")

"""Fold additions in: one sorted file for each partition again, partitions split that hold too much, margins with them.

What is done to one partition is written next door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from lsdb_ts.sky import Layout, Pixel
from lsdb_ts.store.finish import write_collection
from lsdb_ts.store.provenance import Provenance
from lsdb_ts.store.write import FILE, Leaf
from partitioner.additions.append import KEEP
from partitioner.additions.archive import ADDITIONS, Archive, Collection, name_in
from partitioner.additions.bookkeeping import folders_in, stage_provenance, staged_for, switch, with_catalogs
from partitioner.additions.folding import Around, Folded, FoldedTarget, Folding, fold, fold_margin, new_margin
from partitioner.additions.growing import carried_out, member_of, names_in
from partitioner.additions.indexes import grow_index, index_rows, is_whole
from partitioner.additions.member import Member
from partitioner.additions.report import Compaction, Written
from partitioner.additions.switch import at_work, begin, recover
from partitioner.planning.census import Limits
from partitioner.planning.product import margin_targets


def compact(path: str | Path, *, keep: int = KEEP, show: bool | None = None) -> Compaction:
    """Fold the additions to an archive in: its files are then as a repartition of everything would have made them.

    Killed anywhere and started again, it is done once. Who opened a collection before goes on reading its former state.

    Parameters
    ----------
    path : str or pathlib.Path
        Folder that a repartition made, and nights were added to.
    keep : int, optional
        How many former states are kept; a later addition removes older ones.
    show : bool, optional
        Whether to show progress; by default where a person is looking.

    Returns
    -------
    Compaction
        What was written, and which partitions were split.

    Raises
    ------
    PlanError
        The archive was not made by a repartition.
    OutputError
        Another process is adding to the archive, or its disk knows no hard links.
    """
    root = Archive.open(path).root
    with at_work(root):
        archive = Archive.open(root)
        works = {name: _Compact.of(archive, name, show) for name in archive.collections}
        begin(root, folders_in(archive, archive.generation + 1))
        needed = {name: folded for name, work in works.items() if (folded := work.fold()) is not None}
        written = {name: works[name].finish(folded) for name, folded in needed.items()}
        everything = tuple(w for each in written.values() for w in each)
        indexes = [pair for name in written for pair in works[name].indexes_to_build]
        if not written:
            recover(root)
            return Compaction(str(root), archive.generation, (), ())
        split = tuple(f"{works[n].title}, {f.pixel}" for n, each in needed.items() for f in each if f.is_split)
        done = Compaction(str(root), archive.generation + 1, everything, split)
        told = done.to_json()
        change = Provenance("compact", account={key: told[key] for key in ("catalogs", "split")})
        date = datetime.now(tz=UTC).isoformat(timespec="seconds")
        stage_provenance(archive, change, date, done.generation)
        switch(archive, with_catalogs(archive, everything), list(written), keep, indexes)
        return done


@dataclass(eq=False)
class _Compact:
    """One collection on its way."""

    archive: Archive
    name: str
    collection: Collection
    work: Folding
    show: bool | None
    indexes_to_build: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, archive: Archive, name: str, show: bool | None) -> _Compact:
        table, collection, generation = archive.survey.table(name), archive.collections[name], archive.generation + 1
        work = Folding(
            catalog=member_of(collection, collection.catalog, generation, FILE),
            margins=tuple(member_of(collection, m, generation, FILE) for m in collection.margins),
            id_column=archive.roles(name).id,
            limits=Limits(table.row_limit, table.byte_limit),
        )
        return cls(archive, name, collection, work, show)

    @property
    def title(self) -> str:
        return self.collection.catalog.name

    def fold(self) -> list[Folded] | None:
        """Write the partitions that need it; None where all is as it should be."""
        catalog = self.work.catalog
        crowded = self._crowded()
        pixels = [p for p in catalog.old.layout if self._needs(catalog, p) or str(p) in crowded]
        folded = [f for f in carried_out(fold, self.work, pixels, f"fold {self.title}", self.show) if f.leaves]
        is_plain = all(m.old.properties.get("hats_npix_suffix", FILE) == FILE for m in self._members)
        return None if is_plain and not folded else sorted(folded, key=lambda f: f.pixel.start)

    @property
    def _members(self) -> tuple[Member, ...]:
        return (self.work.catalog, *self.work.margins)

    def _needs(self, member: Member, pixel: Pixel) -> bool:
        limit = self.work.limits.rows
        return len(member.files(pixel)) > 1 or (limit is not None and member.count(pixel) > limit)

    def _crowded(self) -> set[str]:
        """Return the partitions that were said to have become too large."""
        base = name_in(0, str(self._relative))
        told = (w for night in self.archive.account.get(ADDITIONS, ()) for w in night["catalogs"])
        return {pixel for w in told if name_in(0, w["path"]) == base for pixel in w["too_large"]}

    @property
    def _relative(self) -> Path:
        return Path(str(self.collection.catalog.path)).relative_to(self.archive.root)

    def finish(self, folded: Sequence[Folded]) -> list[Written]:
        """Make margins, links, metadata and indexes, and put the list of the next state's members aside."""
        catalog = self.work.catalog
        gone = {f.pixel for f in folded}
        leaves = [leaf for f in folded for leaf in f.leaves]
        written = [self._member(catalog, gone, leaves)]
        layout = Layout.of([*(p for p in catalog.old.layout if p not in gone), *(leaf.pixel for leaf in leaves)])
        split = Layout.of([f.pixel for f in folded if f.is_split])
        written += [self._margin(number, layout, split) for number in range(len(self.work.margins))]
        indexes = self._indexes(bool(len(split)))
        staged = staged_for(self.archive, self.name)
        staged.mkdir(parents=True, exist_ok=True)
        names = names_in(self.archive.generation + 1, self.collection)
        write_collection(staged, self.collection.listing(names, indexes))
        return written

    def _margin(self, number: int, layout: Layout, split: Layout) -> Written:
        margin = self.work.margins[number]
        old = list(margin.old.layout)
        inside = split.ranges
        moved = {p for p in old if inside.overlaps([p.start], [p.stop])[0]}
        fold_these = [FoldedTarget(number, p) for p in old if p not in moved and len(margin.files(p)) > 1]
        title = f"fold {margin.old.path.name}"
        done = carried_out(fold_margin, self.work, fold_these, title, self.show)
        targets = margin_targets(layout)
        these = np.flatnonzero(inside.overlaps(targets.starts, targets.stops)).tolist() if len(split) else []
        anew = [FoldedTarget(number, targets[i]) for i in these]
        done += carried_out(new_margin, Around(self.work, layout), anew, title, self.show)
        gone = moved | {t.pixel for t in fold_these}
        return self._member(margin, gone, [leaf for _, leaf in done if leaf is not None])

    def _member(self, member: Member, gone: set[Pixel], leaves: Sequence[Leaf]) -> Written:
        """Link what stays of a catalog, and write its metadata."""
        before = list(member.old.layout)
        stays = [p for p in before if p not in gone]
        for pixel in stays:
            member.link(pixel)
        kept: Mapping[Pixel, Leaf] = member.kept_leaves(stays, [p for p in before if p in gone])
        everything = [*kept.values(), *leaves]
        member.finish(everything, {})
        return Written(
            path=member.root.relative_to(self.archive.root).as_posix(),
            replaces=Path(str(member.old.path)).relative_to(self.archive.root).as_posix(),
            rows=sum(leaf.rows for leaf in everything),
            partitions=len(everything),
            size=sum(leaf.bytes for leaf in everything),
            new_partitions=len(everything) - len(before),
            files=len(leaves),
            bytes=sum(leaf.bytes for leaf in leaves),
        )

    def _indexes(self, is_split: bool) -> dict[str, str]:
        """Make the next state of the indexes that hold; the others are built when the next state is seen."""
        named, anew = {}, []
        for column, folder in self.collection.indexes.items():
            if is_split or not is_whole(folder):
                anew.append((self.collection.folder.relative_to(self.archive.root).as_posix(), column))
                continue
            root = folder.with_name(name_in(self.archive.generation + 1, folder.name))
            none = index_rows(self.work.catalog.schema.empty_table(), column, Pixel(0, 0))
            grow_index(folder, root, self.work.catalog.root, none, "")
            named[column] = root.name
        self.indexes_to_build = tuple(anew)
        return named

"""Verbs on columns, and on rows by what stands in them. Regions of the sky are next door."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, overload

from lsdb_ts.catalog.base import CatalogBase
from lsdb_ts.catalog.column import Column
from lsdb_ts.errors import PlanError
from lsdb_ts.plan.columns import Assign, Cast, Rename, Select, Tag
from lsdb_ts.plan.functions.apply import Extend
from lsdb_ts.plan.functions.galactic import Galactic
from lsdb_ts.plan.language.expression import Expression, Predicate
from lsdb_ts.plan.language.types import arrow_type
from lsdb_ts.plan.node import needs_positions
from lsdb_ts.plan.rows import filtered
from lsdb_ts.schema import Roles, has_parts, require


class ColumnVerbs(CatalogBase):
    """Select, filter, assign, rename, drop and convert."""

    @overload
    def __getitem__(self, what: str) -> Column: ...
    @overload
    def __getitem__(self, what: list[str] | tuple[str, ...] | Column) -> Self: ...
    def __getitem__(self, what: str | list[str] | tuple[str, ...] | Column) -> Self | Column:
        """Return a column of one name, a catalog of the columns of several names, or of the rows of a condition.

        ``catalog["mag"]`` is a :class:`Column`; ``catalog[["objectId", "lc.psfFlux"]]`` keeps two columns, of a nested
        one only a part; ``catalog[catalog["mag"] < 20]`` keeps rows as :meth:`query` does.
        """
        if isinstance(what, str):
            return Column(self, Expression.of_column(what))
        if isinstance(what, Column):
            return self.filter(what)
        if isinstance(what, list | tuple) and all(isinstance(name, str) for name in what):
            return self.select(*what)
        raise PlanError(
            "a catalog takes names of columns, or a condition on its columns, in its brackets; for rows there are also "
            ".query(...), .head(n) and .partitions[...]"
        )

    def select(self, *columns: str) -> Self:
        """Keep some columns; ``"lc.psfFlux"`` keeps one part of a nested one."""
        return self.with_plan(Select(self.plan, tuple(columns)))

    def query(self, expr: str, local_dict: Mapping[str, Any] | None = None) -> Self:
        """Keep the rows for which a condition holds, and of nested columns the epochs.

        Parameters
        ----------
        expr : str
            As for ``pandas.DataFrame.query``: ``"g_mag < 20 and features_g.skew > 1"``. Conditions on the parts of a
            nested column keep epochs instead (``"lc.band == 'g'"``): every row stays, with those epochs; in them, base
            columns stand for each epoch of their row (``"lc.psfFlux > 2 * meanFlux"``). ``and`` at the top joins
            conditions of both kinds. ``lc.psfFlux.max()`` (also ``min mean sum count any all``) and ``len(lc)`` are
            values of the row; they see the curves as they were before.
        local_dict : mapping, optional
            Variables for ``@name``; by default the caller's.
        """
        variables = variables_of(sys._getframe(1)) if local_dict is None and "@" in expr else local_dict
        return self.with_plan(filtered(self.plan, Predicate.parse(expr, variables)))

    def filter(self, condition: str | Column) -> Self:
        """Keep the rows, or epochs, for which a condition holds: as text (see :meth:`query`) or as a column.

        It is ``pandas.DataFrame.loc`` with a mask, and not ``pandas.DataFrame.filter``, which chooses labels.
        """
        if isinstance(condition, Column):
            return self.with_plan(filtered(self.plan, condition.condition(self, "filter")))
        if not isinstance(condition, str):
            raise PlanError(f"filter needs a condition as text or as a column, and got a {type(condition).__name__}")
        variables = variables_of(sys._getframe(1)) if "@" in condition else None
        return self.with_plan(filtered(self.plan, Predicate.parse(condition, variables)))

    def assign(self, **columns: Any) -> Self:
        """Add columns, or put others in the place of old ones; each is computed only if it is wanted in the end.

        Parameters
        ----------
        **columns
            A :class:`Column` of this catalog, a text in the language of :meth:`query` (``"g_mag - r_mag"``), a function
            of the catalog that returns one of these, or a number. Texts and functions see the columns before them in
            the call. ``**{"lc.snr": "lc.psfFlux / lc.psfFluxErr"}`` adds a part to a nested column.

        Notes
        -----
        A copy keeps the unit of its column; other expressions have none, and no column made here has a role.
        """
        frame = sys._getframe(1)
        done: Self = self
        pending: list[tuple[str, Expression]] = []
        changed: set[str] = set()
        for name, value in columns.items():
            if isinstance(value, str) or callable(value):
                done = done.with_plan(Assign(done.plan, tuple(pending))) if pending else done
                changed.update(made for made, _ in pending)
                pending.clear()
                value = value(done) if callable(value) else value
            if isinstance(value, str):
                expression = Expression.parse(value, variables_of(frame) if "@" in value else None)
            elif isinstance(value, Column):
                is_new = value.is_of(done)
                expression = value.of(done if is_new else self, f"assign {name}")
                hidden = set() if is_new else changed.intersection(expression.columns)
                if hidden:
                    raise PlanError(
                        f'assign {name}: "{expression.text}" is of the catalog before {hidden.pop()} was assigned: '
                        f"write it first, or as a text to have the new one"
                    )
            else:
                expression = Expression.of_value(value)
            pending.append((name, expression))
        return done.with_plan(Assign(done.plan, tuple(pending))) if pending else done

    def with_roles(self, lightcurve: str | None = None, **roles: str) -> Self:
        """Say what some columns are, so that steps on light curves, features and pictures need not be told.

        Parameters
        ----------
        lightcurve : str, optional
            The nested column whose parts are meant; by default base columns are.
        **roles
            Name of the column by its role: ``time="hjd", band="filter", mag="V", mag_error="eV"``;
            :class:`lsdb_ts.schema.Roles` has all of them.
        """
        if lightcurve is None and {"ra", "dec"} & roles.keys():
            raise PlanError(
                "which columns are the positions is told where a catalog is made: lt.from_dataframe(ra=...)"
            )
        return self.with_plan(Tag(self.plan, Roles.named(roles), lightcurve))

    def galactic(self, longitude: str = "gal_l", latitude: str = "gal_b") -> Self:
        """Add Galactic coordinates in degrees, of the ICRS positions of the rows.

        Parameters
        ----------
        longitude, latitude : str
            Names of the new columns.

        >>> import lsdb_ts as lt, pandas as pd
        >>> pole = lt.from_dataframe(pd.DataFrame({"ra": [192.8595], "dec": [27.1283]}))
        >>> round(pole.galactic().compute()["gal_b"].item(), 3)
        90.0
        """
        if longitude == latitude:
            raise PlanError(f'longitude and latitude cannot both be called "{longitude}"')
        function = Galactic(needs_positions(self.plan, "galactic"), (longitude, latitude))
        return self.with_plan(Extend(self.plan, function, function.fields, function.positions))

    def rename(self, columns: Mapping[str, str] | Callable[[str], str]) -> Self:
        """Give columns other names; units and roles go with them.

        Parameters
        ----------
        columns : mapping or callable
            New names by old ones, or a function of the old name.
        """
        pairs = [(n, columns(n)) for n in self.columns] if callable(columns) else list(columns.items())
        return self.with_plan(Rename(self.plan, tuple((old, new) for old, new in pairs if old != new)))

    def drop(self, columns: str | Sequence[str]) -> Self:
        """Leave out some columns, or parts of nested ones (``"lc.psfFlux"``)."""
        dropped = {columns} if isinstance(columns, str) else set(columns)
        require(self.schema, sorted(dropped), self.name)
        kept: list[str] = []
        for field in self.schema:
            parts = [f"{field.name}.{part.name}" for part in field.type] if has_parts(field) else []
            if field.name not in dropped:
                kept += [p for p in parts if p not in dropped] if dropped.intersection(parts) else [field.name]
        return self.with_plan(Select(self.plan, tuple(kept)))

    def astype(self, dtype: Mapping[str, Any]) -> Self:
        """Convert columns, or parts of nested ones, to other types.

        Parameters
        ----------
        dtype : mapping
            Type by column: a name or type of numpy, pandas or Arrow, as in ``{"mag": "float32", "lc.band": "string"}``.

        Raises
        ------
        PlanError
            There is no such conversion, or it would round the positions.
        InputError
            While computing, with the pixel: a value has no equal of the new type (only digits of floats may be lost).
        """
        if not isinstance(dtype, Mapping):
            raise PlanError(f'astype needs a type by column, as in {{"mag": "float32"}}, and got {dtype!r}')
        return self.with_plan(Cast(self.plan, tuple((name, arrow_type(kind)) for name, kind in dtype.items())))


def variables_of(frame: Any) -> Mapping[str, Any]:
    """Return the variables that code in a frame sees."""
    return {**frame.f_globals, **frame.f_locals}

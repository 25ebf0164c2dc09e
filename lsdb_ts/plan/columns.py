"""Nodes that choose, name, compute and convert columns, and leave the rows as they are. Types are read next door."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.language.epochs import Epochs
from lsdb_ts.plan.language.expression import Expression
from lsdb_ts.plan.language.types import converted, keeps_order, type_of
from lsdb_ts.plan.node import Unary, expanded
from lsdb_ts.schema import HEALPIX, Roles, find, has_parts, is_nested, project, require, without_role
from lsdb_ts.store.partition import Partition, keep_parts


@dataclass(frozen=True, eq=False)
class OnColumns(Unary):
    """A node with the rows of its child."""

    @property
    def count(self) -> int | None:
        """The child's rows."""
        return self.child.count


@dataclass(frozen=True, eq=False)
class Select(OnColumns):
    """Some of the columns."""

    columns: tuple[str, ...]

    def __post_init__(self) -> None:
        require(self.child.schema, self.columns, self.child.name)

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The selected columns, in the order they were asked for."""
        kept = project(self.child.schema, self.columns)
        order = dict.fromkeys(c if c in kept.names else c.partition(".")[0] for c in self.columns)
        return pa.schema([kept.field(name) for name in order], metadata=kept.metadata)

    @property
    def positions(self) -> tuple[str, str] | None:
        """The child's positions: they can still be read, selected or not."""
        return self.child.positions

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the parts of nested columns that were selected."""
        return (replace(demand, columns=expanded(self.schema, demand.columns)),)

    def identity(self) -> Mapping[str, Any]:
        """Return the columns."""
        return {"columns": list(self.columns)}

    @property
    def summary(self) -> str:
        """The columns."""
        shown = ", ".join(self.columns[:6]) + (f", ... ({len(self.columns)})" if len(self.columns) > 6 else "")
        return f"select {shown}"


@dataclass(frozen=True, eq=False)
class Assign(OnColumns):
    """New columns, or others in the place of old ones, computed only where they are demanded.

    ``lc.snr`` is a new part of the nested column ``lc``: one value an epoch. All expressions see the child's columns.
    """

    columns: tuple[tuple[str, Expression], ...]

    def __post_init__(self) -> None:
        for name, _ in self.columns:
            _check_new_name(self.child.schema, name, self.child.name)
            if name in (self.child.positions or ()):
                raise PlanError(f'"{name}" gives the rows their place on the sky: give the new column another name')
            if name in self.child.schema.names and has_parts(self.child.schema.field(name)):
                raise PlanError(f'"{name}" of {self.child.name} has parts: name one of them, or drop it first')
        _ = self.schema

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The child's columns with the new ones; those that are new by name come last."""
        schema = self.child.schema
        for name, expression in self.columns:
            nested = _nested_base(schema, name)
            if nested is not None:
                parts = {part.name: part for part in schema.field(nested).type}
                new = self._field(name, expression, nested)
                part = name.partition(".")[2]
                parts[part] = new.with_name(part).with_type(pa.list_(new.type))
                field = schema.field(nested).with_type(pa.struct(list(parts.values())))
                schema = schema.set(schema.names.index(nested), field)
            elif name in schema.names:
                schema = schema.set(schema.names.index(name), self._field(name, expression, None))
            else:
                schema = schema.append(self._field(name, expression, None))
        return schema

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for what the demanded expressions need, and for the demanded columns that are the child's."""
        made = {name for name, _ in self.columns}
        asked = [c for c in expanded(self.schema, demand.columns) if c not in made]
        for name, expression in self._demanded(demand):
            asked.extend(expression.needs(self.child.schema, asked, _nested_base(self.child.schema, name)))
        if not asked:
            # Some column must tell how many rows there are.
            asked = (
                [HEALPIX]
                if self.child.positions is not None
                else list(expanded(self.child.schema, [self.child.schema.names[0]]))
            )
        rows = {c: limits for c, limits in demand.rows.items() if not {c, c.partition(".")[0]} & made}
        return (replace(demand, columns=tuple(dict.fromkeys(asked)), rows=rows),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Compute the demanded columns."""
        child = parts[0].table
        table = child
        for name, expression in self._demanded(demand):
            nested = _nested_base(self.child.schema, name)
            values = expression.values(child, nested)
            if nested is not None:
                values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
                values = Epochs.of(table.column(nested)).with_part(name.partition(".")[2], values)
            table = _with_column(table, nested or name, values)
        return parts[0].with_table(_in_order(table, self.schema))

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the child's, for the child's columns."""
        made = {name.partition(".")[0] for name, _ in self.columns}
        return None if column.partition(".")[0] in made else self.child.limits(column)

    def identity(self) -> Mapping[str, Any]:
        """Return names and expressions."""
        return {"columns": [[name, asdict(expression)] for name, expression in self.columns]}

    @property
    def summary(self) -> str:
        """The names and expressions."""
        return "assign " + ", ".join(f"{name} = {expression.text}" for name, expression in self.columns)

    def _demanded(self, demand: Demand) -> list[tuple[str, Expression]]:
        wanted = expanded(self.schema, demand.columns)
        return [(name, expression) for name, expression in self.columns if name in wanted]

    def _field(self, name: str, expression: Expression, nested: str | None) -> pa.Field:
        """Return the field of a new column; a copy keeps its unit."""
        schema = self.child.schema
        touched = expression.epochs_of(schema)
        if nested is None and touched:
            raise PlanError(
                f'"{expression.text}" has one value an epoch of {touched[0]}: assign it to a part of it, such as '
                f'"{touched[0]}.{name}", or reduce it, as in "({expression.text}).max()"'
            )
        kind = expression.kind(schema, self.child.name, nested)
        if pa.types.is_null(kind) or pa.types.is_struct(kind):
            raise PlanError(f'"{expression.text}" is {kind}, of which no column "{name}" can be made')
        source = find(schema, expression.column) if expression.column is not None else None
        return pa.field(name, kind) if source is None else without_role(source).with_name(name).with_type(kind)


@dataclass(frozen=True, eq=False)
class Tag(OnColumns):
    """The same rows, with what some columns, or some parts of a nested one, are."""

    roles: Roles
    nested: str | None = None

    def __post_init__(self) -> None:
        if self.nested is not None:
            require(self.child.schema, [self.nested], self.child.name)
            if not is_nested(column := self.child.schema.field(self.nested)):
                raise PlanError(f'"{self.nested}" is {column.type} and not a light curve (a struct of lists)')
        # Raises where a column is not there.
        _ = self.schema

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The child's columns, with these roles in their metadata."""
        schema = self.child.schema
        if self.nested is None:
            return self.roles.tag(schema)
        column = schema.field(self.nested)
        parts = self.roles.tag(pa.schema(list(column.type)))
        return schema.set(schema.names.index(self.nested), column.with_type(pa.struct(list(parts))))

    def identity(self) -> Mapping[str, Any]:
        """Return the roles."""
        return {"roles": dict(self.roles.items()), "nested": self.nested}

    @property
    def summary(self) -> str:
        """The roles."""
        told = ", ".join(f"{role}={column}" for role, column in self.roles.items())
        return f"roles {'of ' + self.nested + ' ' if self.nested else ''}{told}"


@dataclass(frozen=True, eq=False)
class Rename(OnColumns):
    """Other names for some columns, which keep their units and roles."""

    columns: tuple[tuple[str, str], ...]
    """Old and new names."""

    def __post_init__(self) -> None:
        require(self.child.schema, [old for old, _ in self.columns], self.child.name)
        for old, new in self.columns:
            if old not in self.child.schema.names:
                raise PlanError(f'"{old}" is a part of a nested column: parts cannot be renamed, only columns')
            _check_new_name(self.child.schema, new, self.child.name)
        names = self.schema.names
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice is not None:
            raise PlanError(
                f'{self.child.name} would have two columns called "{twice}": rename or drop the other first'
            )

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The child's columns under their new names, in the same order."""
        fields = [f.with_name(self._new.get(f.name, f.name)) for f in self.child.schema]
        return pa.schema(fields, metadata=self.child.schema.metadata)

    @property
    def positions(self) -> tuple[str, str] | None:
        """The child's, under their new names."""
        if self.child.positions is None:
            return None
        ra, dec = self.child.positions
        return self._new.get(ra, ra), self._new.get(dec, dec)

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the child's."""
        return self.child.limits(self._before(column))

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the same under the old names."""
        columns = tuple(self._before(c) for c in demand.columns)
        return (replace(demand, columns=columns, rows={self._before(c): v for c, v in demand.rows.items()}),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Give the columns their new names."""
        table = parts[0].table
        return parts[0].with_table(table.rename_columns([self._new.get(n, n) for n in table.column_names]))

    def identity(self) -> Mapping[str, Any]:
        """Return the names."""
        return {"columns": [list(pair) for pair in self.columns]}

    @property
    def summary(self) -> str:
        """The names."""
        return "rename " + ", ".join(f"{old} to {new}" for old, new in self.columns)

    @functools.cached_property
    def _new(self) -> Mapping[str, str]:
        return dict(self.columns)

    @functools.cached_property
    def _old(self) -> Mapping[str, str]:
        return {new: old for old, new in self.columns}

    def _before(self, column: str) -> str:
        """Return the old name of a column, or of a part of one."""
        if column in self._old or column in self.schema.names:
            return self._old.get(column, column)
        base, dot, part = column.partition(".")
        return f"{self._old.get(base, base)}{dot}{part}"


@dataclass(frozen=True, eq=False)
class Cast(OnColumns):
    """Other types for some columns, or parts of nested ones; a value that does not fit is an error."""

    columns: tuple[tuple[str, pa.DataType], ...]

    def __post_init__(self) -> None:
        schema = self.child.schema
        require(schema, self._kinds, self.child.name)
        for name, kind in self.columns:
            field = find(schema, name)
            if field is not None and has_parts(field):
                raise PlanError(f'"{name}" has parts: name the part to convert, as in "{name}.{field.type[0].name}"')
            if name in (self.child.positions or ()) and not pa.types.is_float64(kind):
                raise PlanError(f'"{name}" gives the rows their place on the sky and stays float64: {kind} rounds it')
        converted(schema.empty_table(), self._kinds, self.child.name)

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """The child's columns with the new types."""
        return pa.schema(
            [f.with_type(type_of(f, self._kinds)) for f in self.child.schema], metadata=self.child.schema.metadata
        )

    def demands(self, demand: Demand) -> tuple[Demand, ...]:
        """Ask for the same; bounds pass where a value and its image are equal."""
        return (replace(demand, rows={c: v for c, v in demand.rows.items() if self._keeps_order(c)}),)

    def combine(self, demand: Demand, parts: Sequence[Partition]) -> Partition:
        """Convert the columns."""
        return parts[0].with_table(converted(parts[0].table, self._kinds, self.child.name))

    def limits(self, column: str) -> tuple[Any, Any] | None:
        """Return the child's, where the conversion leaves values as they are."""
        return self.child.limits(column) if self._keeps_order(column) else None

    def identity(self) -> Mapping[str, Any]:
        """Return names and types."""
        return {"columns": [[name, str(kind)] for name, kind in self.columns]}

    @property
    def summary(self) -> str:
        """The names and types."""
        return "astype " + ", ".join(f"{name}: {kind}" for name, kind in self.columns)

    @functools.cached_property
    def _kinds(self) -> Mapping[str, pa.DataType]:
        return dict(self.columns)

    def _keeps_order(self, column: str) -> bool:
        field = find(self.child.schema, column)
        return column not in self._kinds or (field is not None and keeps_order(field.type, self._kinds[column]))


def _nested_base(schema: pa.Schema, name: str) -> str | None:
    """Return the nested column that a name is a part of, new or old."""
    base, dot, _ = name.partition(".")
    return base if dot and name not in schema.names and base in schema.names and is_nested(schema.field(base)) else None


def _check_new_name(schema: pa.Schema, name: str, where: str) -> None:
    if not name or name == HEALPIX:
        raise PlanError(f'"{name}" cannot be the name of a column of {where}')
    if "." in name and name not in schema.names and _nested_base(schema, name) is None:
        base = name.partition(".")[0]
        raise PlanError(f'"{name}": a dot stands before a part of a nested column, and {where} has no nested "{base}"')


def _in_order(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Put the parts of nested columns into the order of the schema."""
    for i, column in enumerate(table.schema):
        if has_parts(column):
            present = {part.name for part in column.type}
            kind = pa.struct([part for part in schema.field(column.name).type if part.name in present])
            table = table.set_column(i, column.with_type(kind), keep_parts(table.column(i), kind))
    return table


def _with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, values)
    return table.append_column(name, values)

"""The step that keeps epochs for which a condition of the language holds. It stands here because the language does."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.lightcurves.curves import Curves
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.lightcurves.step import Choice
from lsdb_ts.plan.language.expression import Expression, Predicate
from lsdb_ts.schema import find


@dataclass(frozen=True)
class Query(Choice):
    """Epochs for which a condition holds: of their parts, of values made of all epochs of the curve, and of the row."""

    predicate: Predicate
    nested: str
    """The name of the column, which the parts have before them in the condition."""
    base: tuple[pa.Field, ...] = ()
    """Base columns that it names."""

    @classmethod
    def parse(
        cls, text: str, variables: Mapping[str, Any] | None, nested: str, shape: Shape, schema: pa.Schema, where: str
    ) -> Query:
        """Read a condition, in which the parts of the curves may stand without the name of the column.

        Parameters
        ----------
        text : str
            In the language of ``catalog.query``.
        variables : mapping, optional
            Values of ``@names``.
        nested : str
            Name of the column.
        shape : Shape
            What the curves have at this step: a part hides a base column of its name.
        schema : pyarrow.Schema
            That of the catalog.
        where : str
            Its name, for errors.
        """

        def named(tree: ast.expr) -> ast.expr:
            tree = copy.deepcopy(tree)
            for node in ast.walk(tree):
                if isinstance(node, ast.Name) and node.id in shape.names:
                    node.id = f"{nested}.{node.id}"
            return tree

        predicate = Predicate.made(named, Expression.parse(text, variables))
        here = schema.set(schema.names.index(nested), pa.field(nested, shape.type))
        unknown = next((name for name in predicate.columns if find(here, name) is None), None)
        if unknown is not None:
            parts = [f"{nested}.{part}" for part in shape.names] if "." in unknown else list(shape.names)
            raise PlanError(
                f'"{text}": {nested} of {where} has no part "{unknown}" at this step, and {where} no such column; '
                f"{did_you_mean(unknown, [*parts, *schema.names])}"
            )
        predicate.check(here, where, nested)
        base = [n if n in here.names else n.partition(".")[0] for n in predicate.columns]
        return cls(predicate, nested, tuple(here.field(n) for n in dict.fromkeys(base) if n != nested))

    def _schema(self, before: Shape) -> pa.Schema:
        return pa.schema([*self.base, pa.field(self.nested, before.type)])

    def needs(self, before: Shape) -> tuple[str, ...]:
        """Return the parts that the condition names, one at least: it tells how many epochs there are."""
        asked = self.predicate.needs(self._schema(before), nested=self.nested)
        return tuple(n.partition(".")[2] for n in asked if n.partition(".")[0] == self.nested)

    def columns(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the base columns that it names."""
        return tuple(n for n in self.predicate.needs(self._schema(before)) if n.partition(".")[0] != self.nested)

    def __call__(self, curves: Curves) -> Curves:
        """Keep the epochs."""
        rows = {field.name: curves.rows[field.name] for field in self.base}
        table = pa.table({**rows, self.nested: curves.only(self.needs(curves.shape)).to_arrow()})
        return curves.keep(self.predicate.holds(table, self.nested))

    def identity(self) -> Mapping[str, Any]:
        """Return the condition."""
        return {"step": "Query", "version": self.version, "predicate": asdict(self.predicate), "nested": self.nested}

    @property
    def summary(self) -> str:
        """The condition."""
        return f"query({self.predicate.told})"

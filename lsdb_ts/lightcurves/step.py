"""What one verb on light curves is: from curves to curves, and what it must read for what is wanted of the result.

The steps themselves live in the modules beside this one, a family a file; plans call them.

To add one: subclass :class:`Step`, or :class:`Choice` where epochs are only dropped or reordered, as a frozen dataclass
whose fields are its parameters, and give ``catalog.curves("lc").apply(step)`` one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from lsdb_ts.lightcurves.curves import Curves
from lsdb_ts.lightcurves.shape import Shape

__all__ = ["Choice", "Shape", "Step", "snake_case", "union"]


@dataclass(frozen=True)
class Step(ABC):
    """One verb with its parameters. Steps name roles, not columns."""

    version: ClassVar[int] = 1
    """Raised with every change of what comes out; part of the fingerprint."""

    @property
    def copies(self) -> float:
        """How many times it holds the epochs at once, where that is more than once: memory is planned with it."""
        return 1.0

    @property
    def epochs_each(self) -> int:
        """How many epochs every curve gets, where it makes new ones: memory is planned with it."""
        return 0

    @abstractmethod
    def shape(self, before: Shape) -> Shape:
        """Return what comes out; raises PlanError where a role or part is missing, or of the wrong type."""

    @abstractmethod
    def inputs(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the parts to read, where these parts of what comes out are wanted."""

    def columns(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return base columns it reads beside the parts; of a nested one its parts (``forced.psfFlux``)."""
        return ()

    @abstractmethod
    def __call__(self, curves: Curves) -> Curves:
        """Return the new curves, of shape ``self.shape(curves.shape)``, a whole partition at once.

        Given are at least the parts of :meth:`inputs`, and ``curves.rows`` holds those of :meth:`columns`. Parts it
        cannot make of what it is given are left out. Null curves stay null and empty.
        """

    def identity(self) -> Mapping[str, Any]:
        """Return class, version and parameters as JSON."""
        return {"step": type(self).__name__, "version": self.version, **asdict(self)}

    @property
    def summary(self) -> str:
        """The step in half a line, for people: its name, and the parameters that are not the defaults."""
        told = {n: f for n, f in self.__dataclass_fields__.items() if getattr(self, n) != f.default}
        values = ", ".join(f"{n}={getattr(self, n)!r}" for n in told)
        return f"{snake_case(type(self).__name__)}({values})"


class Choice(Step):
    """A step that drops epochs or gives them another order, and leaves what stands in them as it is."""

    @abstractmethod
    def needs(self, before: Shape) -> tuple[str, ...]:
        """Return the parts it looks at; raises PlanError where there are none such."""

    def shape(self, before: Shape) -> Shape:
        """Return the shape as it was."""
        self.needs(before)
        return before

    def inputs(self, before: Shape, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return what is wanted and what it looks at."""
        return union(wanted, self.needs(before))


def snake_case(name: str) -> str:
    """Return the name of a verb for that of its class.

    >>> snake_case("DropDuplicates")
    'drop_duplicates'
    """
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


def union(*names: tuple[str | None, ...]) -> tuple[str, ...]:
    """Return the names of all, each once."""
    return tuple(dict.fromkeys(name for some in names for name in some if name is not None))

"""Additions to a finished archive: a night's rows are put in place, and folded in; readers see whole states only.

How an archive is made in the first place is written one floor up.
"""

from partitioner.additions.append import append
from partitioner.additions.compact import compact
from partitioner.additions.forecast import forecast_append
from partitioner.additions.report import Addition, Compaction, Forecast

__all__ = ["Addition", "Compaction", "Forecast", "append", "compact", "forecast_append"]

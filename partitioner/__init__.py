"""The repartitioner: raw survey tables in, HATS collections with margins and light curves nested at rest out.

Opening and querying what it makes is the work of ``lsdb_ts``.
"""

from partitioner.account import Account, CatalogAccount, TableAccount
from partitioner.additions import Addition, Compaction, Forecast, append, compact, forecast_append
from partitioner.checks.fault import Fault
from partitioner.checks.report import Report
from partitioner.checks.verify import verify
from partitioner.margins.add import MarginReport, add_margin
from partitioner.planning.plan import Plan, begin, load, plan
from partitioner.running.state import JobState, StageState
from partitioner.running.verbs import carry_out, finish, run, status, task
from partitioner.surveys.survey import Survey, Table

__all__ = [
    "Account",
    "Addition",
    "CatalogAccount",
    "Compaction",
    "Fault",
    "Forecast",
    "JobState",
    "MarginReport",
    "Plan",
    "Report",
    "StageState",
    "Survey",
    "Table",
    "TableAccount",
    "add_margin",
    "append",
    "begin",
    "carry_out",
    "compact",
    "finish",
    "forecast_append",
    "load",
    "plan",
    "run",
    "status",
    "task",
    "verify",
]

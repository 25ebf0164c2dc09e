"""The repartitioner: raw survey tables in, HATS collections with margins and light curves nested at rest out.

Opening and querying what it makes is the work of ``lsdb_ts``.
"""

from partitioner.account import Account, CatalogAccount, TableAccount
from partitioner.faults import Fault
from partitioner.job import carry_out, run
from partitioner.plan import Plan, plan
from partitioner.survey import Survey, Table
from partitioner.verify import Report, verify

__all__ = [
    "Account",
    "CatalogAccount",
    "Fault",
    "Plan",
    "Report",
    "Survey",
    "Table",
    "TableAccount",
    "carry_out",
    "plan",
    "run",
    "verify",
]

"""The command line: thin commands over Python functions, one file a family. What they do is done elsewhere.

Exit codes: 0 done, 1 failed, 2 misuse, 3 incomplete (the same command again goes on where it stopped).
"""

from lsdb_ts.cli.app import app, main
from lsdb_ts.cli.options import DONE, FAILED, INCOMPLETE, MISUSE

__all__ = ["DONE", "FAILED", "INCOMPLETE", "MISUSE", "app", "main"]

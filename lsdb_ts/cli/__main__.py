"""Run the command line as ``python -m lsdb_ts.cli``; it lives beside this file."""

from lsdb_ts.cli.app import main

main()

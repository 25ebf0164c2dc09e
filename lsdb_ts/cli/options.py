"""Options and arguments that several commands share, and the exit codes. What one command alone takes stands there."""

from __future__ import annotations

from typing import Annotated

import typer

DONE, FAILED, MISUSE, INCOMPLETE = 0, 1, 2, 3
"""Exit codes: done, failed, misuse, incomplete (the same command again goes on where it stopped)."""

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else, to stdout.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the traceback of an error.")]
CatalogPath = Annotated[
    str, typer.Argument(metavar="CATALOG", help="Folder or URL of a HATS catalog or collection.", show_default=False)
]
LocalPath = Annotated[
    str, typer.Argument(metavar="CATALOG", help="Folder of a HATS catalog or collection.", show_default=False)
]

"""Catalogs, as astronomers hold them: opened, or made of a table, and what can be done with them."""

import sys

from lsdb_ts.catalog.catalog import Catalog
from lsdb_ts.catalog.joins import concat
from lsdb_ts.catalog.matching import crossmatch
from lsdb_ts.catalog.opening import from_dataframe, open_catalog

__all__ = ["Catalog", "concat", "crossmatch", "from_dataframe", "open_catalog"]

if "IPython" in sys.modules:
    # Frames of catalogs are of another library's class, which only the notebook that shows them can be told to draw.
    from lsdb_ts.views.display import draw_in_notebooks

    draw_in_notebooks()

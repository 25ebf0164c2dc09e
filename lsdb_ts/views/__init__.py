"""What people see of catalogs: text, HTML and pictures. Nothing here changes or computes a catalog's values."""

from lsdb_ts.views.confusion import plot_confusion
from lsdb_ts.views.display import show
from lsdb_ts.views.html import catalog_html
from lsdb_ts.views.lightcurve import plot_folded, plot_lightcurve
from lsdb_ts.views.multiples import plot_lightcurves
from lsdb_ts.views.periodogram import plot_periodogram
from lsdb_ts.views.sky import plot_sky
from lsdb_ts.views.text import catalog_text

__all__ = [
    "plot_sky",
    "plot_lightcurve",
    "plot_folded",
    "plot_lightcurves",
    "plot_periodogram",
    "plot_confusion",
    "show",
    "catalog_text",
    "catalog_html",
]

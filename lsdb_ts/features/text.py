"""A set of features as text and HTML: what each is called, its unit, its formula and source."""

from __future__ import annotations

import html
from collections.abc import Sequence

from lsdb_ts.features.protocol import BandFeature, Feature

_WIDTH = 118


def set_text(name: str, bands: Sequence[str], features: Sequence[Feature]) -> str:
    """Return a line for each feature: name, unit, formula, cut to the width of a terminal."""
    lines = [_title(name, bands, features)]
    widest = max(len(f.name) for f in features)
    units = max(len(f.unit) for f in features)
    for heading, members in _groups(bands, features):
        lines.append(heading)
        lines += [_cut(f"  {f.name:{widest}}  {f.unit:{units}}  {_plain(f)}") for f in members]
    return "\n".join(lines)


def set_html(name: str, bands: Sequence[str], features: Sequence[Feature]) -> str:
    """Return a table: name, unit, formula, source."""
    rows = []
    for heading, members in _groups(bands, features):
        rows.append(f'<tr><th colspan="4" style="text-align:left">{html.escape(heading)}</th></tr>')
        rows += [
            "<tr>" + "".join(f'<td style="text-align:left">{html.escape(cell)}</td>' for cell in _cells(f)) + "</tr>"
            for f in members
        ]
    names = "".join(f'<th style="text-align:left">{name}</th>' for name in ("name", "unit", "formula", "source"))
    table = f"<table><thead><tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f"<details><summary>{html.escape(_title(name, bands, features))}</summary>{table}</details>"


def _title(name: str, bands: Sequence[str], features: Sequence[Feature]) -> str:
    of_bands = sum(isinstance(f, BandFeature) for f in features)
    whole = len(features) - of_bands
    return f"FeatureSet {name}: {of_bands} for each of the bands {', '.join(bands)}; {whole} over all"


def _groups(bands: Sequence[str], features: Sequence[Feature]) -> list[tuple[str, list[Feature]]]:
    band = [f for f in features if isinstance(f, BandFeature)]
    whole = [f for f in features if not isinstance(f, BandFeature)]
    headings = (f"features_{bands[0]} ...", band), ("features_multiband", whole)
    return [(heading, members) for heading, members in headings if members]


def _cells(feature: Feature) -> tuple[str, str, str, str]:
    formula, _, source = _plain(feature).rpartition("; ") if feature.definitions else ("", "", "")
    return feature.name, feature.unit, formula or _plain(feature), source or feature.reference


def _plain(feature: Feature) -> str:
    return feature.formula.replace("``", "")


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 4].rstrip()} ..."

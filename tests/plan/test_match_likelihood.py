"""Matches by errors of positions, by likelihood ratio and by an own score equal what their formulas give."""

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.errors import PlanError
from lsdb_ts.plan.matching.score import Scored
from lsdb_ts.plan.node import whole
from lsdb_ts.schema import Roles, with_unit
from tests.oracles import pairs_within
from tests.skycases import in_memory, neighbours_table, objects_table

RADIUS_ARCSEC = 4.0
DENSITY = 2.5


def with_errors(table: pa.Table, seed: int, unit: str | None = None, per_arcsec: float = 1.0) -> pa.Table:
    """Add errors of 0.1 to 0.8 arcsec along both axes, some of them missing."""
    rng = np.random.default_rng(seed)
    for name in ("ra_error", "dec_error"):
        values = rng.uniform(0.1, 0.8, len(table)) * per_arcsec
        field = pa.field(name, pa.float64())
        column = pa.array(np.where(rng.random(len(table)) < 0.05, np.nan, values), from_pandas=True)
        table = table.append_column(field if unit is None else with_unit(field, unit), column)
    return table


LEFT = with_errors(objects_table(500), 1, "arcsec")
RIGHT = with_errors(neighbours_table(objects_table(500), 0.8), 2, "mas", 1e3)
SIGMA2 = [
    np.mean([(table[c].to_numpy() / scale) ** 2 for c in ("ra_error", "dec_error")], axis=0)
    for table, scale in ((LEFT, 1), (RIGHT, 1e3))
]
ROWS, PARTNERS, SEPARATION = pairs_within(
    *(t[c].to_numpy() for t in (LEFT, RIGHT) for c in ("ra", "dec")), RADIUS_ARCSEC
)
VARIANCE = SIGMA2[0][ROWS] + SIGMA2[1][PARTNERS]
L, R = in_memory(LEFT, "l", 60), in_memory(RIGHT, "r", 80)


def best(cost: np.ndarray, kept: np.ndarray) -> dict[int, int]:
    """Return the best partner of each left row, by id."""
    chosen: dict[int, tuple[float, int]] = {}
    for i, j, c in zip(ROWS[kept], PARTNERS[kept], cost[kept], strict=True):
        if i not in chosen or c < chosen[i][0]:
            chosen[int(i)] = c, int(j)
    return {LEFT["objectId"][i].as_py(): RIGHT["starId"][j].as_py() for i, (_, j) in chosen.items()}


def found(frame) -> dict[int, int]:
    assert frame.objectId.is_unique
    return dict(zip(frame.objectId.tolist(), frame.starId.tolist(), strict=True))


@pytest.mark.parametrize("n_sigma", [0.5, 1.5, 5.0])
def test_pairs_within_some_sigmas_are_ranked_by_them(n_sigma):
    sigmas = SEPARATION / np.sqrt(VARIANCE)
    expected = best(sigmas, sigmas <= n_sigma)
    assert found(L.crossmatch(R, RADIUS_ARCSEC, n_sigma=n_sigma).compute()) == expected
    assert expected != best(SEPARATION, sigmas <= 1e9)
    everyone = L.crossmatch(R, RADIUS_ARCSEC, n_neighbors=None, n_sigma=n_sigma).compute()
    assert len(everyone) == (sigmas <= n_sigma).sum()


def test_likelihood_ratios_follow_the_formula_and_rank_partners():
    ratio = np.exp(-(SEPARATION**2) / (2 * VARIANCE)) / (2 * np.pi * VARIANCE * DENSITY / 3600)
    known = ~np.isnan(ratio)
    options = {"score": "likelihood_ratio", "density_per_arcmin2": DENSITY}
    frame = L.crossmatch(R, RADIUS_ARCSEC, **options).compute()
    assert found(frame) == best(-ratio, known)
    everyone = L.crossmatch(R, RADIUS_ARCSEC, n_neighbors=None, **options).compute()
    assert np.allclose(np.sort(everyone._likelihood_ratio), np.sort(ratio[known]), rtol=1e-6)
    assert (everyone.groupby("objectId")._likelihood_ratio.diff().dropna() <= 0).all()
    mutual = L.crossmatch(R, RADIUS_ARCSEC, one_to_one=True, **options).compute()
    back = everyone.loc[everyone._likelihood_ratio == everyone.groupby("starId")._likelihood_ratio.transform("max")]
    both = set(found(frame).items()) & set(zip(back.objectId.tolist(), back.starId.tolist(), strict=True))
    assert mutual.starId.is_unique
    assert set(found(mutual).items()) <= both
    assert len(mutual) > 100


def test_errors_may_be_named_or_one_for_all_rows():
    sigmas = SEPARATION / np.sqrt(0.3**2 + SIGMA2[1][PARTNERS])
    expected = best(sigmas, sigmas <= 2)
    assert found(L.crossmatch(R, RADIUS_ARCSEC, n_sigma=2, left_error=0.3).compute()) == expected
    one = in_memory(LEFT.append_column("sigma", pa.array(np.full(len(LEFT), 0.3))), "l", 60)
    assert found(one.crossmatch(R, RADIUS_ARCSEC, n_sigma=2, left_error="sigma").compute()) == expected


def test_the_units_of_known_surveys_are_known_and_others_must_be_told():
    names = [c.replace("ra_error", "raErr").replace("dec_error", "decErr") for c in LEFT.column_names]
    plain = with_errors(objects_table(500), 1, None, 1 / 3600).rename_columns(names)
    rubin = in_memory(plain, "rubin", 60)
    expected = L.crossmatch(R, RADIUS_ARCSEC, n_sigma=3).compute()
    assert found(rubin.crossmatch(R, RADIUS_ARCSEC, n_sigma=3).compute()) == found(expected)
    odd = plain.rename_columns([{"raErr": "a", "decErr": "b"}.get(c, c) for c in names])
    tagged = pa.table(odd.columns, schema=Roles(ra_error="a", dec_error="b").tag(odd.schema))
    with pytest.raises(PlanError, match='"a" has no unit'):
        in_memory(tagged, "odd").crossmatch(R, RADIUS_ARCSEC, n_sigma=3)


def test_rows_without_an_error_find_no_partner():
    missing = set(LEFT["objectId"].to_numpy()[np.isnan(SIGMA2[0])].tolist())
    frame = L.crossmatch(R, RADIUS_ARCSEC, n_sigma=50, how="left").compute()
    assert missing
    assert set(frame[frame.objectId.isin(missing)].starId.isna()) == {True}


def test_positions_without_error_that_coincide_are_certain():
    pairs = L.crossmatch(in_memory(LEFT, "same", 70), 1.0, n_sigma=3, left_error=0.0, right_error=0.0).compute()
    assert (pairs._dist_arcsec == 0).all()
    assert set(pairs.objectId_l) == set(LEFT["objectId"].to_pylist())


def test_a_score_must_be_a_number_for_each_pair():
    with pytest.raises(PlanError, match=r"made scores of shape \(1,\) for 0 pairs"):
        L.crossmatch(R, RADIUS_ARCSEC, score=lambda left, right: [1.0])
    with pytest.raises(PlanError, match=r"raised KeyError on frames without rows.*gmga"):
        L.crossmatch(R, RADIUS_ARCSEC, score=lambda left, right: right["gmga"])
    with pytest.raises(Exception, match="made no numbers of the pairs"):
        L.crossmatch(R, RADIUS_ARCSEC, score=lambda left, right: right["_dist_arcsec"].astype(str) + "x").compute()


def test_a_score_reads_the_columns_it_names():
    scored = Scored(function=lambda left, right: -right["gmag"], radius_arcsec=RADIUS_ARCSEC, right_columns=("gmag",))
    match = L.crossmatch(R, algorithm=scored)[["objectId", "starId"]]
    asked = match.plan.child.demands(match.plan.demands(whole(match.plan))[0])[1]
    assert asked.columns == ("_healpix_29", "ra", "dec", "gmag", "starId")
    everything = L.crossmatch(R, RADIUS_ARCSEC, score=lambda left, right: -right["gmag"])
    assert found(match.compute()) == found(everything.compute())

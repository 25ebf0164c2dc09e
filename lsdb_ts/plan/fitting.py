"""Cut a pixel whose work is too large for a worker into finer ones, which are computed one after another.

What a node makes of a pixel does not depend on how the sky is cut, so their rows together are those of the pixel.
"""

from __future__ import annotations

from lsdb_ts.plan.demand import Demand
from lsdb_ts.plan.explain import peak
from lsdb_ts.plan.forecast import BUFFERS_BYTES
from lsdb_ts.plan.node import Node, nodes_of
from lsdb_ts.sky.pixel import MAX_ORDER, Pixel

_LEAST_GAIN = 0.75
"""Where several quarters of a pixel are too large, the largest has to take less than this part of what the pixel takes
beyond its buffers: else they all read the same row groups, and finer pixels would, too."""

_LEAST_BYTES = 256 << 10
"""Pixels are not cut into pieces that take less than this beyond their buffers: they would be without number."""


def fitting(node: Node, demand: Demand, most_bytes: float) -> list[Pixel]:
    """Return the coarsest pixels in which one pixel of a plan can be computed.

    Parameters
    ----------
    node : Node
        Root of the plan.
    demand : Demand
        What is wanted of its one pixel.
    most_bytes : float
        Memory that computing a pixel may be expected to take.

    Returns
    -------
    list of Pixel
        In the sequence of the sky. Those that take more cannot be cut: functions on whole partitions see these whole,
        and row groups are decoded whole.
    """
    pixel, needed = demand.pixel, peak(node, demand)
    worth = min(most_bytes, needed) - BUFFERS_BYTES >= _LEAST_BYTES
    if needed <= most_bytes or not worth or pixel.order == MAX_ORDER:
        return [pixel]
    quarters = [demand.at(quarter) for quarter in pixel.children(pixel.order + 1)]
    if any(n.unit(quarters[0]).pixels is not quarters[0].pixels for n in nodes_of(node)):
        return [pixel]
    too_large = [bytes_ for quarter in quarters if (bytes_ := peak(node, quarter)) > most_bytes]
    if len(too_large) > 1 and max(too_large) - BUFFERS_BYTES > _LEAST_GAIN * (needed - BUFFERS_BYTES):
        return [pixel]
    return [finer for quarter in quarters for finer in fitting(node, quarter, most_bytes)]

"""Queries as small immutable plans: nodes that push demands down and hand tables up. No dask.

Running many pixels lives in run.
"""

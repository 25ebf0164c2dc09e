"""Bytes on disk to Arrow tables and back: the only place that knows how a HATS catalog lies in folders.

No dask, no plans.
"""

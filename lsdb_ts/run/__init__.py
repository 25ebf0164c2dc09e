"""Where work is executed: on a Dask cluster if there is one, on all local cores if not.

The only package that imports dask.
"""

"""Numbers in, numbers out: compiled loops over flat arrays. No tables of any library, no dask, no files."""

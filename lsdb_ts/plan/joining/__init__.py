"""Catalogs brought together by id: joins, light curves, associations, and rows looked up or put one below the other."""

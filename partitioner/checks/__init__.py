"""Checks of finished catalogs, one file a kind. Nothing is mended here."""

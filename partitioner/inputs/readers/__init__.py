"""Readers of raw tables, one file a format, behind one protocol. What becomes of the rows lives elsewhere."""

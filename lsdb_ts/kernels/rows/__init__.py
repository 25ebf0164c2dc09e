"""Rows by their keys: counted, sorted, joined and nested."""

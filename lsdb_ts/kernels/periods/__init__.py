"""Periodograms, the search of periods in their peaks, and what a light curve is folded on one."""

"""Two catalogs brought together by position: what pairs rows, what that asks of either side, what becomes of pairs."""

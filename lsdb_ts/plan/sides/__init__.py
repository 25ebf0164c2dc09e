"""Two catalogs in one table: the columns of either side, and rows taken of both. Who belongs to whom, nodes decide."""

"""A plan carried out: stages in order, several processes, the books, and the commit."""

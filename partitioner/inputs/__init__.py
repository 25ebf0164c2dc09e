"""Raw files: found, agreed on one schema, cut into units of work, and read."""

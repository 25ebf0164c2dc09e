"""What is decided before a row moves: counts on the sky, layouts, buckets, and what the work will take."""

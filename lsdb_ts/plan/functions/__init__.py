"""Functions on the tables of pixels: a user's own, features, and sums that add up."""

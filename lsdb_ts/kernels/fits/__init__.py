"""Models fitted to many light curves at once, and Gaussian processes through them."""

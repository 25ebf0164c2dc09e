"""Numbers of many light curves at once, and what is done to their epochs before."""

"""Light curves to light curves: steps that choose, order, bin, clean, fold and convert epochs of a whole partition."""

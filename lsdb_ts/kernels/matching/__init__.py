"""Who lies near whom on the sky: positions sorted by place, matched without a tree."""

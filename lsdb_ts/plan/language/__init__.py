"""The language of conditions and values: text to trees, trees to arrays, and what can be skipped."""

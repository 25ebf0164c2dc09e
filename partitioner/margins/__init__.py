"""Margins: of a catalog that is being made, and of any that is finished."""

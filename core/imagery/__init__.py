"""Imagery: open a raster as a model wants it, plan tiles over it and read them ahead."""

"""Stands in for QGIS of Qt 6 where there is only Qt 6: what our own widgets ask of it, and no more."""

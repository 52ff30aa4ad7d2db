"""The part of core that QGIS's own Python imports too: standard library only, valid in Python 3.9."""

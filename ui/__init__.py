"""All that imports qgis: valid in Python 3.9, on Qt 5 and Qt 6."""

"""Everything Tilehawk does to rasters, models and detections; free of QGIS and Qt."""

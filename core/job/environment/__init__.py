"""The worker's own Python environment: made by uv in the user's data folder, apart from QGIS's Python."""

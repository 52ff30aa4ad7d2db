"""A tile server of the tests' own: it serves a raster in EPSG:3857 that lies on the grid of a zoom, and misbehaves."""

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import numpy as np
from osgeo import gdal, osr

HALF = 20037508.342789244
TILE_PX = 256


def resolution(zoom: int) -> float:
    """Map units a pixel."""
    return 2 * HALF / TILE_PX / 2**zoom


class TileServer:
    """Serves `path` at `zoom` only, 404 elsewhere; `status(column, row, times)` may give another answer's status."""

    def __init__(self, path: Path, zoom: int) -> None:
        self.zoom = zoom
        self.status = lambda column, row, times: 200
        self.asked: Counter = Counter()
        self._raster = gdal.Open(str(path))
        left, pixel, _, top, *_ = self._raster.GetGeoTransform()
        self._origin = (round((left + HALF) / pixel), round((HALF - top) / pixel))
        self._lock = threading.Lock()
        self._name = uuid4().hex  # QGIS keeps answers on disk, and a later server may have this one's port
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                parts = self.path.split("?")[0].removesuffix(".png").split("/")
                zoom, column, row = (int(part) for part in parts[-3:])
                status, body = server.answer(zoom, column, row)
                self.send_response(status)
                self.send_header("Content-Type", "image/png")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def uri(self) -> str:
        """Source of a QGIS layer."""
        port = self._server.server_port
        return f"type=xyz&url=http://127.0.0.1:{port}/{self._name}/{{z}}/{{x}}/{{y}}.png&zmin=0&zmax={self.zoom}"

    def answer(self, zoom: int, column: int, row: int) -> tuple[int, bytes]:
        """Give a tile as PNG."""
        with self._lock:
            self.asked[column, row] += 1
            status = self.status(column, row, self.asked[column, row])
            x, y = column * TILE_PX - self._origin[0], row * TILE_PX - self._origin[1]
            inside = 0 <= x < self._raster.RasterXSize and 0 <= y < self._raster.RasterYSize
            if status != 200 or zoom != self.zoom or not inside:
                return (status if status != 200 else 404), b""
            name = f"/vsimem/{column}-{row}.png"
            gdal.Translate(name, self._raster, format="PNG", srcWin=[x, y, TILE_PX, TILE_PX], bandList=[1, 2, 3])
            file = gdal.VSIFOpenL(name, "rb")
            body = bytes(gdal.VSIFReadL(1, gdal.VSIStatL(name).size, file))
            gdal.VSIFCloseL(file)
            gdal.Unlink(name)
            return 200, body

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._raster = None  # closed here: the server is in a cycle, and GDAL may be gone when that is collected


def write_tiled_raster(path: Path, tiles: int, zoom: int, column: int, row: int) -> Path:
    """Write noise in EPSG:3857 that covers `tiles` x `tiles` tiles from `column`, `row` on."""
    side = tiles * TILE_PX
    values = np.random.default_rng(3).integers(30, 220, (3, side // 4, side // 4)).repeat(4, axis=1).repeat(4, axis=2)
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), side, side, 3, gdal.GDT_Byte, ["TILED=YES"])
    pixel = resolution(zoom)
    dataset.SetGeoTransform((column * TILE_PX * pixel - HALF, pixel, 0, HALF - row * TILE_PX * pixel, 0, -pixel))
    dataset.SetProjection(mercator())
    dataset.WriteArray(values.astype(np.uint8))
    dataset.FlushCache()
    return path


def mercator() -> str:
    """Well-known text of EPSG:3857."""
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(3857)
    return reference.ExportToWkt()

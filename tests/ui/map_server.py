"""A WMS 1.3.0, WCS 1.0.0 and WMTS 1.0.0 of the tests' own: it serves a raster, and misbehaves where it is told to."""

from __future__ import annotations

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import ceil, floor
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit
from uuid import uuid4

import numpy as np
from osgeo import gdal, osr

EXCEPTION = """<?xml version="1.0" encoding="UTF-8"?>
<ServiceExceptionReport version="1.3.0" xmlns="http://www.opengis.net/ogc">
<ServiceException code="LayerNotDefined">The layer is having its lunch.</ServiceException>
</ServiceExceptionReport>"""

WMS = """<?xml version="1.0" encoding="UTF-8"?>
<WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms" xmlns:xlink="http://www.w3.org/1999/xlink">
<Service><Name>WMS</Name><Title>Suburb</Title></Service>
<Capability><Request>
<GetCapabilities><Format>text/xml</Format><DCPType><HTTP><Get><OnlineResource xlink:href="{url}"/></Get></HTTP>
</DCPType></GetCapabilities>
<GetMap><Format>image/png</Format><Format>image/jpeg</Format><DCPType><HTTP><Get><OnlineResource xlink:href="{url}"/>
</Get></HTTP></DCPType></GetMap></Request>
<Exception><Format>XML</Format></Exception>
<Layer><Title>Suburb</Title>
<Layer queryable="0" opaque="1"><Name>suburb</Name><Title>Suburb</Title><CRS>{crs}</CRS>
<EX_GeographicBoundingBox><westBoundLongitude>{west}</westBoundLongitude><eastBoundLongitude>{east}</eastBoundLongitude>
<southBoundLatitude>{south}</southBoundLatitude><northBoundLatitude>{north}</northBoundLatitude>
</EX_GeographicBoundingBox>
<BoundingBox CRS="{crs}" minx="{left}" miny="{bottom}" maxx="{right}" maxy="{top}"/>
</Layer></Layer></Capability></WMS_Capabilities>"""

WCS = """<?xml version="1.0" encoding="UTF-8"?>
<WCS_Capabilities version="1.0.0" xmlns="http://www.opengis.net/wcs" xmlns:xlink="http://www.w3.org/1999/xlink"
 xmlns:gml="http://www.opengis.net/gml">
<Service><name>WCS</name><label>Suburb</label></Service>
<Capability><Request>
<GetCapabilities><DCPType><HTTP><Get><OnlineResource xlink:href="{url}"/></Get></HTTP></DCPType></GetCapabilities>
<DescribeCoverage><DCPType><HTTP><Get><OnlineResource xlink:href="{url}"/></Get></HTTP></DCPType></DescribeCoverage>
<GetCoverage><DCPType><HTTP><Get><OnlineResource xlink:href="{url}"/></Get></HTTP></DCPType></GetCoverage>
</Request><Exception><Format>application/vnd.ogc.se_xml</Format></Exception></Capability>
<ContentMetadata><CoverageOfferingBrief><name>suburb</name><label>Suburb</label>
<lonLatEnvelope srsName="urn:ogc:def:crs:OGC:1.3:CRS84"><gml:pos>{west} {south}</gml:pos>
<gml:pos>{east} {north}</gml:pos></lonLatEnvelope></CoverageOfferingBrief></ContentMetadata></WCS_Capabilities>"""

COVERAGE = """<?xml version="1.0" encoding="UTF-8"?>
<CoverageDescription version="1.0.0" xmlns="http://www.opengis.net/wcs" xmlns:gml="http://www.opengis.net/gml">
<CoverageOffering><name>suburb</name><label>Suburb</label>
<lonLatEnvelope srsName="urn:ogc:def:crs:OGC:1.3:CRS84"><gml:pos>{west} {south}</gml:pos>
<gml:pos>{east} {north}</gml:pos></lonLatEnvelope>
<domainSet><spatialDomain>
<gml:Envelope srsName="{crs}"><gml:pos>{left} {bottom}</gml:pos><gml:pos>{right} {top}</gml:pos></gml:Envelope>
<gml:RectifiedGrid dimension="2"><gml:limits><gml:GridEnvelope><gml:low>0 0</gml:low>
<gml:high>{last_x} {last_y}</gml:high></gml:GridEnvelope></gml:limits>
<gml:axisName>x</gml:axisName><gml:axisName>y</gml:axisName>
<gml:origin><gml:pos>{left} {top}</gml:pos></gml:origin><gml:offsetVector>{pixel} 0</gml:offsetVector>
<gml:offsetVector>0 -{pixel}</gml:offsetVector></gml:RectifiedGrid></spatialDomain></domainSet>
<rangeSet><RangeSet><name>bands</name><label>Bands</label></RangeSet></rangeSet>
<supportedCRSs><requestResponseCRSs>{crs}</requestResponseCRSs><nativeCRSs>{crs}</nativeCRSs></supportedCRSs>
<supportedFormats nativeFormat="GeoTIFF"><formats>GeoTIFF</formats></supportedFormats>
<supportedInterpolations><interpolationMethod>nearest neighbor</interpolationMethod></supportedInterpolations>
</CoverageOffering></CoverageDescription>"""

WMTS = """<?xml version="1.0" encoding="UTF-8"?>
<Capabilities version="1.0.0" xmlns="http://www.opengis.net/wmts/1.0" xmlns:ows="http://www.opengis.net/ows/1.1"
 xmlns:xlink="http://www.w3.org/1999/xlink">
<ows:ServiceIdentification><ows:Title>Suburb</ows:Title><ows:ServiceType>OGC WMTS</ows:ServiceType>
<ows:ServiceTypeVersion>1.0.0</ows:ServiceTypeVersion></ows:ServiceIdentification>
<ows:OperationsMetadata>{operation}</ows:OperationsMetadata>
<Contents><Layer><ows:Title>Suburb</ows:Title>
<ows:WGS84BoundingBox><ows:LowerCorner>{west} {south}</ows:LowerCorner>
<ows:UpperCorner>{east} {north}</ows:UpperCorner></ows:WGS84BoundingBox>
<ows:Identifier>suburb</ows:Identifier>
<Style isDefault="true"><ows:Identifier>default</ows:Identifier></Style>
<Format>image/png</Format><TileMatrixSetLink><TileMatrixSet>local</TileMatrixSet></TileMatrixSetLink>{template}</Layer>
<TileMatrixSet><ows:Identifier>local</ows:Identifier><ows:SupportedCRS>{urn}</ows:SupportedCRS>{matrices}
</TileMatrixSet></Contents></Capabilities>"""

MATRIX = """<TileMatrix><ows:Identifier>level:{level}</ows:Identifier>
<ScaleDenominator>{scale!r}</ScaleDenominator>
<TopLeftCorner>{corner}</TopLeftCorner><TileWidth>{side}</TileWidth><TileHeight>{side}</TileHeight>
<MatrixWidth>{across}</MatrixWidth><MatrixHeight>{across}</MatrixHeight></TileMatrix>"""

BY_QUERY = """<ows:Operation name="GetTile"><ows:DCP><ows:HTTP><ows:Get xlink:href="{url}">
<ows:Constraint name="GetEncoding"><ows:AllowedValues><ows:Value>KVP</ows:Value></ows:AllowedValues></ows:Constraint>
</ows:Get></ows:HTTP></ows:DCP></ows:Operation>"""

BY_PATH = """<ResourceURL format="image/png" resourceType="tile"
 template="{url}request=GetTile&amp;tilematrix={{TileMatrix}}&amp;tilerow={{TileRow}}&amp;tilecol={{TileCol}}"/>"""

METRES_A_DEGREE, STANDARD_PIXEL_M = 111319.49079327358, 0.00028  # of the WMTS standard, section 6.1
WMTS_TILE_PX = 128
WMTS_LEVELS = (4, 2, 1)  # pixels of the raster in a pixel of each level
BEYOND_PX = 3 * WMTS_TILE_PX * max(WMTS_LEVELS)  # how much further left and up the tiles' grid begins than the raster


class MapServer:
    """Serves a raster whose CRS has an EPSG code; of the three services the WMTS alone knows axes north, east.

    Its tiles' grid has the raster's pixels but another corner; `by_path` makes it say where a tile is by a template.
    `answer_with(box, times)` may give another answer for a picture of `box` (left, bottom, right, top) asked for the
    n-th time: a status; "exception" for an exception's XML and "page" for HTML, both with status 200; "clear" for a
    transparent picture; "hang up" for no answer at all; None: the picture.
    """

    def __init__(self, path: Path) -> None:
        self.answer_with = lambda box, times: None
        self.asked: dict[tuple[float, ...], int] = {}
        self.sizes: list[tuple[int, int]] = []
        self.by_path = False
        raster = gdal.Open(str(path))
        self._values = raster.ReadAsArray().reshape(raster.RasterCount, raster.RasterYSize, -1)
        self._lock = threading.Lock()
        self._name = uuid4().hex  # QGIS keeps answers on disk, and a later server may have this one's port
        self._kind = raster.GetRasterBand(1).DataType
        self.crs = f"EPSG:{raster.GetSpatialRef().GetAuthorityCode(None)}"
        left, pixel, _, top, *_ = raster.GetGeoTransform()
        self._corner = (left, pixel, top)
        self._facts = self._describe(raster)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                query = {name.upper(): value for name, value in parse_qsl(urlsplit(self.path).query)}
                status, kind, body = server.answer(query)
                if not status:
                    self.close_connection = True
                    return
                with suppress(ConnectionError):  # of a client that asks no more
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """Address of all services."""
        return f"http://127.0.0.1:{self._server.server_port}/{self._name}/ows?"

    def wms_uri(self) -> str:
        """Source of a QGIS layer, as its own dialog writes it."""
        return f"crs={self.crs}&dpiMode=7&format=image/png&layers=suburb&styles&url={quote(self.url, safe=':/')}"

    def wcs_uri(self) -> str:
        """Source of a QGIS layer, as its own dialog writes it."""
        where = quote(self.url, safe=":/")
        return f"cache=AlwaysNetwork&crs={self.crs}&format=GeoTIFF&identifier=suburb&url={where}&version=1.0.0"

    def wmts_uri(self) -> str:
        """Source of a QGIS layer, as its own dialog writes it."""
        where = quote(f"{self.url}SERVICE=WMTS&REQUEST=GetCapabilities", safe=":/")
        return f"crs={self.crs}&dpiMode=7&format=image/png&layers=suburb&styles=default&tileMatrixSet=local&url={where}"

    def answer(self, query: dict[str, str]) -> tuple[int, str, bytes]:
        """Answer a request: status, kind, body."""
        request = query.get("REQUEST", "")
        if request == "GetCapabilities":
            template = {"WMS": WMS, "WCS": WCS, "WMTS": WMTS}[query["SERVICE"].upper()]
            facts = {**self._facts, **self._tile_facts()} if template is WMTS else self._facts
            return 200, "text/xml", template.format(url=self.url, **facts).encode()
        if request == "DescribeCoverage":
            return 200, "text/xml", COVERAGE.format(url=self.url, **self._facts).encode()
        if request == "GetTile":
            width = height = WMTS_TILE_PX
            box = self._tile_box(*(int(query[name].split(":")[-1]) for name in ("TILEMATRIX", "TILECOL", "TILEROW")))
        else:
            box = tuple(float(number) for number in query["BBOX"].split(","))
            width, height = int(query["WIDTH"]), int(query["HEIGHT"])
        with self._lock:
            self.asked[box] = self.asked.get(box, 0) + 1
            self.sizes.append((width, height))
            other = self.answer_with(box, self.asked[box])
            if other == "exception":
                return 200, "text/xml", EXCEPTION.encode()
            if other == "page":
                return 200, "text/html", b"<html><body>Welcome!</body></html>"
            if other == "hang up":
                return 0, "", b""
            if other == "clear":
                box = (box[0] + 1e6, box[1], box[2] + 1e6, box[3])
            elif other is not None:
                return other, "text/plain", b"no"
            if request == "GetCoverage":
                return 200, "image/tiff", self._cut(box, width, height, "GTiff")
            return 200, "image/png", self._cut(box, width, height, "PNG")

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def _cut(self, box: tuple[float, ...], width: int, height: int, form: str) -> bytes:
        """Draw a picture of the nearest pixels; GDAL's warper would take a place in every thread that serves."""
        left, pixel, top = self._corner
        columns = np.floor((np.linspace(box[0], box[2], width, False) + (box[2] - box[0]) / width / 2 - left) / pixel)
        rows = np.floor((top - np.linspace(box[3], box[1], height, False) + (box[3] - box[1]) / height / 2) / pixel)
        _, high, wide = self._values.shape
        inside = ((rows >= 0) & (rows < high))[:, None] & ((columns >= 0) & (columns < wide))
        cut = self._values[:, rows.clip(0, high - 1).astype(int)][:, :, columns.clip(0, wide - 1).astype(int)] * inside
        if form == "PNG":
            cut = np.concatenate([cut, 255 * inside[None].astype(np.uint8)])
        picture = gdal.GetDriverByName("MEM").Create("", width, height, len(cut), self._kind)
        picture.SetGeoTransform((box[0], (box[2] - box[0]) / width, 0, box[3], 0, (box[1] - box[3]) / height))
        picture.WriteArray(cut)
        name = f"/vsimem/map-server-{id(self)}"
        gdal.Translate(name, picture, format=form)
        file = gdal.VSIFOpenL(name, "rb")
        body = bytes(gdal.VSIFReadL(1, gdal.VSIStatL(name).size, file))
        gdal.VSIFCloseL(file)
        gdal.Unlink(name)
        return body

    def _describe(self, raster: gdal.Dataset) -> dict[str, object]:
        left, pixel, _, top, *_ = raster.GetGeoTransform()
        right, bottom = left + raster.RasterXSize * pixel, top - raster.RasterYSize * pixel
        degrees = osr.SpatialReference()
        degrees.ImportFromEPSG(4326)
        degrees.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
        here = raster.GetSpatialRef()
        here.SetAxisMappingStrategy(osr.OAMS_TRADITIONAL_GIS_ORDER)
        bounds = osr.CoordinateTransformation(here, degrees).TransformBounds(left, bottom, right, top, 21)
        west, south, east, north = bounds
        return {
            "crs": self.crs, "pixel": pixel,
            "left": left, "bottom": bottom, "right": right, "top": top,
            "west": west, "south": south, "east": east, "north": north,
            "last_x": raster.RasterXSize - 1, "last_y": raster.RasterYSize - 1,
        }  # fmt: skip

    def _tile_box(self, level: int, column: int, row: int) -> tuple[float, ...]:
        """Left, bottom, right and top of a tile."""
        left, pixel, top = self._corner
        side = WMTS_TILE_PX * WMTS_LEVELS[level] * pixel
        x, y = left - BEYOND_PX * pixel + column * side, top + BEYOND_PX * pixel - row * side
        return x, y - side, x + side, y

    def _tile_facts(self) -> dict[str, object]:
        """What the WMTS says of its tiles, in the order of axes that its CRS has."""
        left, pixel, top = self._corner
        here = osr.SpatialReference()
        here.ImportFromEPSG(int(self.crs.split(":")[1]))
        outwards = {"west": floor, "south": floor, "east": ceil, "north": ceil}
        bounds = {side: step(self._facts[side] * 1e4) / 1e4 for side, step in outwards.items()}  # as servers round them
        corner = [left - BEYOND_PX * pixel, top + BEYOND_PX * pixel]
        if here.EPSGTreatsAsLatLong() or here.EPSGTreatsAsNorthingEasting():
            corner.reverse()
        unit_m = METRES_A_DEGREE if here.IsGeographic() else 1.0
        facts = {"corner": " ".join(map(repr, corner)), "side": WMTS_TILE_PX, "across": 40}
        matrices = (
            MATRIX.format(level=level, scale=size * pixel * unit_m / STANDARD_PIXEL_M, **facts)
            for level, size in enumerate(WMTS_LEVELS)
        )
        return {
            **bounds,
            "urn": f"urn:ogc:def:crs:EPSG::{self.crs.split(':')[1]}",
            "matrices": "".join(matrices),
            "operation": "" if self.by_path else BY_QUERY.format(url=self.url),
            "template": BY_PATH.format(url=self.url) if self.by_path else "",
        }

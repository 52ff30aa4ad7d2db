"""How fetched pixels are written: pictures as colours with transparency, values as they are."""

from __future__ import annotations

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsRasterBlock,
    QgsRasterDataProvider,
    QgsRasterFileWriter,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QByteArray

PICTURES = (Qgis.DataType.ARGB32, Qgis.DataType.ARGB32_Premultiplied)
IN_MEMORY = (2, 1, 0, 3)  # red, green, blue and alpha of a picture's pixel, whose bytes are blue, green, red, alpha
OPTIONS = ["TILED=YES", "INTERLEAVE=BAND", "COMPRESS=DEFLATE", "BIGTIFF=IF_SAFER"]
FLOATS = (Qgis.DataType.Float32, Qgis.DataType.Float64)
NODATA = {  # of layers that have none, for what did not come: values that imagery hardly ever has
    Qgis.DataType.Byte: 0,  # and 0 becomes 1
    Qgis.DataType.Int8: -128,
    Qgis.DataType.UInt16: 2**16 - 1,
    Qgis.DataType.Int16: -(2**15),
    Qgis.DataType.UInt32: 2**32 - 1,
    Qgis.DataType.Int32: -(2**31),
}
LOWEST = -3.4028234663852886e38  # of Float32


class Colours:
    """A picture, written as red, green, blue and alpha."""

    bands = (1,)

    def create(
        self, path: str, width: int, height: int, extent: QgsRectangle, crs: QgsCoordinateReferenceSystem
    ) -> QgsRasterDataProvider:
        """Make the GeoTIFF, to be written block by block."""
        options = [*OPTIONS, "PREDICTOR=2", "PHOTOMETRIC=RGB", "ALPHA=YES"]
        return _writer(path, options).createMultiBandRaster(Qgis.DataType.Byte, width, height, extent, crs, 4)

    def to_write(self, blocks: list[QgsRasterBlock]) -> tuple[list[QgsRasterBlock], int]:
        """Take a picture apart; gives a block for each band of the file, and the number of transparent pixels."""
        (block,) = blocks
        pixels = bytes(block.data())  # its data are no copy: it must live until they are one
        size = (block.width(), block.height())
        return [_byte_block(pixels[place::4], *size) for place in IN_MEMORY], pixels[3::4].count(0)

    def nothing(self, width: int, height: int) -> list[QgsRasterBlock]:
        """Blocks for a part that did not come."""
        return [_byte_block(bytes(width * height), width, height) for _ in IN_MEMORY]


class Numbers:
    """Values of any type in any number of bands, with a value for no data: the layer's own, else one made up."""

    def __init__(self, provider: QgsRasterDataProvider) -> None:
        self.bands = tuple(range(1, provider.bandCount() + 1))
        kinds = {provider.dataType(band) for band in self.bands}
        self._kind = kinds.pop() if len(kinds) == 1 else Qgis.DataType.Float32
        made_up = NODATA.get(self._kind, LOWEST)
        own = [provider.sourceNoDataValue(b) if provider.sourceHasNoDataValue(b) else None for b in self.bands]
        self._lifted = [known is None and self._kind == Qgis.DataType.Byte for known in own]
        self._nodata = [made_up if known is None else known for known in own]

    def create(
        self, path: str, width: int, height: int, extent: QgsRectangle, crs: QgsCoordinateReferenceSystem
    ) -> QgsRasterDataProvider:
        """Make the GeoTIFF, to be written block by block."""
        options = [*OPTIONS, f"PREDICTOR={3 if self._kind in FLOATS else 2}"]
        if len(self.bands) == 3:
            options.append("PHOTOMETRIC=RGB")
        writer = _writer(path, options)
        target = writer.createMultiBandRaster(self._kind, width, height, extent, crs, len(self.bands))
        for band, value in zip(self.bands, self._nodata) if target is not None else ():
            target.setNoDataValue(band, value)
        return target

    def to_write(self, blocks: list[QgsRasterBlock]) -> tuple[list[QgsRasterBlock], int]:
        """Give a block for each band of the file, and that no pixel is missing."""
        for number, (block, lifted) in enumerate(zip(blocks, self._lifted)):
            if block.dataType() != self._kind:
                block.convert(self._kind)
            if lifted:
                values = bytes(block.data()).replace(b"\x00", b"\x01")
                blocks[number] = _byte_block(values, block.width(), block.height())
        return blocks, 0

    def nothing(self, width: int, height: int) -> list[QgsRasterBlock]:
        """Blocks for a part that did not come."""
        return [self._empty(value, width, height) for value in self._nodata]

    def _empty(self, nodata: float, width: int, height: int) -> QgsRasterBlock:
        block = QgsRasterBlock(self._kind, width, height)
        block.setNoDataValue(nodata)
        block.setIsNoData()
        return block


def _writer(path: str, options: list[str]) -> QgsRasterFileWriter:
    writer = QgsRasterFileWriter(path)
    writer.setOutputProviderKey("gdal")
    writer.setOutputFormat("GTiff")
    writer.setCreateOptions(options)
    return writer


def _byte_block(values: bytes, width: int, height: int) -> QgsRasterBlock:
    block = QgsRasterBlock(Qgis.DataType.Byte, width, height)
    block.setData(QByteArray(values))
    return block

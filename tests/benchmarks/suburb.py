"""The raster and the model that the speed benchmarks share: drawn and made once, kept in build/benchmarks."""

import math
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.transform import from_origin
from report import FOLDER

from core.job.card import Architecture, Band, ModelCard, ObjectClass
from core.retinanet.detector import Detector
from core.retinanet.device import Backend
from core.retinanet.network import build_network
from core.retinanet.weights import save_model
from core.scene.scene import draw_scene

TILE_PX, OVERLAP_PX, THRESHOLD, NMS_OVERLAP, BOXES_PER_TILE = 512, 128, 0.3, 0.3, 40
IMAGENET = (("red", 0.485, 0.229), ("green", 0.456, 0.224), ("blue", 0.406, 0.225))
SOURCE = """<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename><SourceBand>{band}</SourceBand>
<SrcRect xOff="0" yOff="0" xSize="{size}" ySize="{size}"/><DstRect xOff="{x}" yOff="{y}" xSize="{size}" ySize="{size}"/>
</SimpleSource>"""


def suburb(size: int) -> Path:
    """A GeoTIFF of `size` px a side, 8 bit RGB, DEFLATE in blocks of 512 px."""
    path = FOLDER / f"suburb_{size}.tif"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        make_raster(path, size)
    return path


def repeated(path: Path, times: int) -> Path:
    """A virtual raster that repeats a file `times` times along both axes."""
    with rasterio.open(path) as file:
        size, wkt, transform = file.width, file.crs.to_wkt(), file.transform.to_gdal()
    corners = [(column * size, row * size) for row in range(times) for column in range(times)]
    bands = ""
    for band, colour in enumerate(("Red", "Green", "Blue"), 1):
        sources = "".join(SOURCE.format(name=path.name, band=band, size=size, x=x, y=y) for x, y in corners)
        bands += (
            f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{colour}</ColorInterp>{sources}</VRTRasterBand>'
        )
    mosaic = path.with_name(f"{path.stem}_{times}x{times}.vrt")
    mosaic.write_text(
        f'<VRTDataset rasterXSize="{times * size}" rasterYSize="{times * size}">'
        f"<SRS>{wkt.replace(chr(34), '&quot;')}</SRS><GeoTransform>{', '.join(map(str, transform))}</GeoTransform>"
        f"{bands}</VRTDataset>"
    )
    return mosaic


def resnet50(raster: Path) -> Path:
    """A model on ResNet-50 as torchvision's, untrained, that finds some 40 boxes a tile of such rasters."""
    path = FOLDER / "resnet50.safetensors"
    if not path.exists():
        with rasterio.open(raster) as file:
            make_model(path, file.read())
    return path


def make_raster(path: Path, size: int) -> None:
    """Write a drawn suburb of 1024 px, repeated to `size` px a side."""
    piece = draw_scene(1024, 1).image[:3]
    times = math.ceil(size / 1024)
    image = np.tile(piece, (1, times, times))[:, :size, :size]
    profile = {"driver": "GTiff", "width": size, "height": size, "count": 3, "dtype": "uint8", "crs": "EPSG:32611"}
    layout = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    with rasterio.open(path, "w", transform=from_origin(400_000, 3_760_000, 0.6, 0.6), **profile, **layout) as file:
        file.write(image)


def make_model(path: Path, image: np.ndarray) -> None:
    """A RetinaNet on ResNet-50 as torchvision's, untrained, that finds some 40 boxes a tile of `image`."""
    torch.manual_seed(0)
    network = build_network(Architecture(), 1)
    bands = tuple(Band(role, mean=255 * mean, std=255 * std) for role, mean, std in IMAGENET)
    card = ModelCard(
        "benchmark",
        (ObjectClass("thing"),),
        bands,
        0.6,
        threshold=THRESHOLD,
        score_floor=THRESHOLD,
        nms_overlap=NMS_OVERLAP,
    )
    tiles = torch.from_numpy(np.stack(list(cut(image, 4))))
    exact = Detector(card, network, Backend(torch.device("cpu"), torch.float32, ""))
    values = exact.normalise(tiles)
    for norm in (m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.momentum = None  # plain average over the tiles
    with torch.no_grad():
        network.train().backbone(values)
        logits, deltas = network.eval()(values)
        found = torch.cat([level.flatten(1) for level in logits], 1)
        output = network.head.classification_head.cls_logits
        output.weight *= 2 / found.std()
        output.bias.zero_()
        logits, deltas = network(values)
        network.head.regression_head.bbox_reg.weight *= 0.2 / torch.cat([level.flatten(1) for level in deltas], 1).std()
        low, high = -40.0, 20.0
        for _ in range(12):
            output.bias.fill_((low + high) / 2)
            found = Detector(card, network, exact.backend)(tiles.numpy(), THRESHOLD, NMS_OVERLAP)
            boxes = sum(map(len, found)) / len(found)
            low, high = (low, output.bias[0].item()) if boxes > BOXES_PER_TILE else (output.bias[0].item(), high)
            if abs(boxes - BOXES_PER_TILE) <= 5:
                break
    save_model(path, card, network.state_dict())


def cut(image: np.ndarray, count: int) -> list[np.ndarray]:
    """Tiles uint8 (3, 512, 512) at seeded random places."""
    rng = np.random.default_rng(0)
    corners = rng.integers(0, image.shape[1] - TILE_PX + 1, (count, 2))
    return [np.ascontiguousarray(image[:, y : y + TILE_PX, x : x + TILE_PX]) for y, x in corners]

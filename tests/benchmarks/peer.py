"""One peer, once, over one raster: started by peers.py in the peers' own environment; prints one line of JSON.

    peer.py NAME RASTER WEIGHTS TILE OVERLAP THRESHOLD NMS_OVERLAP LAUNCHED

LAUNCHED is the time of day, in seconds. All beyond those is as the peer comes. `-tile` after a name: what reaches its
network keeps a tile's size, which torchvision's detectors otherwise enlarge to 800 px without saying so.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
import torch
from rasterio.windows import Window
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models.detection import RetinaNet, retinanet_resnet50_fpn
from torchvision.ops import batched_nms

RASTER, WEIGHTS = sys.argv[2:4]
TILE, OVERLAP = (int(argument) for argument in sys.argv[4:6])
THRESHOLD, NMS_OVERLAP = (float(argument) for argument in sys.argv[6:8])
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LOOP_BATCH = 8 if DEVICE == "cuda" else 1  # more at once is slower on processors


def network() -> RetinaNet:
    """torchvision's RetinaNet with the weights, as its own defaults make it but for both thresholds."""
    net = retinanet_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=1, score_thresh=THRESHOLD, nms_thresh=NMS_OVERLAP
    )
    net.load_state_dict(load_file(WEIGHTS))
    return net.eval().to(DEVICE)


def starts(length: int) -> list[int]:
    """Where tiles begin along an axis; the last one ends at the raster's edge."""
    if length <= TILE:
        return [0]
    return [*range(0, length - TILE, TILE - OVERLAP), length - TILE]


def torchvision(net: RetinaNet, keep_size: bool) -> Callable[[], int]:
    """The loop that one writes: window by window, the model on lists of tiles, suppression over everything."""
    if keep_size:
        net.transform.min_size, net.transform.max_size = (TILE,), TILE

    @torch.inference_mode()
    def run() -> int:
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        with rasterio.open(RASTER) as file:
            corners = [(x, y) for y in starts(file.height) for x in starts(file.width)]
            for first in range(0, len(corners), LOOP_BATCH):
                part = corners[first : first + LOOP_BATCH]
                tiles = [torch.from_numpy(file.read(window=Window(x, y, TILE, TILE))) / 255 for x, y in part]
                for (x, y), one in zip(part, net([tile.to(DEVICE) for tile in tiles]), strict=True):
                    moved = one["boxes"].cpu() + torch.tensor([x, y, x, y])
                    found.append((moved, one["scores"].cpu(), one["labels"].cpu()))
        boxes, scores, labels = (torch.cat(column) for column in zip(*found, strict=True))
        return len(batched_nms(boxes, scores, labels, NMS_OVERLAP))

    return run


def deepforest(net: RetinaNet, keep_size: bool) -> Callable[[], int]:
    """DeepForest's `predict_tile`."""
    from deepforest.main import deepforest as DeepForest

    if keep_size:
        net.transform.min_size, net.transform.max_size = (TILE,), TILE
    settings = {"num_classes": 1, "label_dict": {"thing": 0}, "score_thresh": THRESHOLD, "nms_thresh": NMS_OVERLAP}
    forest = DeepForest(model=net, config_args=settings)
    forest.set_labels(settings["label_dict"])

    def run() -> int:
        found = forest.predict_tile(
            path=RASTER, patch_size=TILE, patch_overlap=OVERLAP / TILE, iou_threshold=NMS_OVERLAP
        )
        return 0 if found is None else len(found)

    return run


def sahi(net: RetinaNet, keep_size: bool) -> Callable[[], int]:
    """SAHI's sliced prediction, merging as all others do and without its extra pass over the whole picture."""
    from sahi import AutoDetectionModel
    from sahi.predict import get_sliced_prediction

    model = AutoDetectionModel.from_pretrained(
        model_type="torchvision",
        model=net,
        confidence_threshold=THRESHOLD,
        category_mapping={"0": "thing"},
        device=DEVICE,
        image_size=TILE if keep_size else None,
    )

    def run() -> int:
        return len(
            get_sliced_prediction(
                RASTER,
                model,
                slice_height=TILE,
                slice_width=TILE,
                overlap_height_ratio=OVERLAP / TILE,
                overlap_width_ratio=OVERLAP / TILE,
                perform_standard_pred=False,
                postprocess_type="NMS",
                postprocess_match_metric="IOU",
                postprocess_match_threshold=NMS_OVERLAP,
                verbose=0,
            ).object_prediction_list
        )

    return run


PEERS = {"torchvision": torchvision, "deepforest": deepforest, "sahi": sahi}


def main() -> None:
    """Run the peer."""
    name, _, size = sys.argv[1].partition("-")
    net = network()
    run = PEERS[name](net, size == "tile")
    shapes: list[tuple[int, ...]] = []
    net.backbone.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    started = time.time() - float(sys.argv[8])
    ready = time.perf_counter()
    boxes = run()
    seconds = time.perf_counter() - ready
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    result = {
        "input px": int(np.max([shape[2:] for shape in shapes])),
        "tiles": sum(shape[0] for shape in shapes),
        "seconds": seconds,
        "boxes": boxes,
        "peak MB": int(peak.split()[1]) / 1024,
        "start s": started,
    }
    print("\n" + json.dumps(result))


if __name__ == "__main__":
    main()

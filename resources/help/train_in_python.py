"""Train a model in Python, without QGIS: each `# %%` is a cell for a notebook or an editor that knows cells.

Run it with the worker's Python; the plugin's folder, or a checkout, is named `tilehawk`:

    python tilehawk/resources/help/train_in_python.py FOLDER MODEL

FOLDER holds labelled images in any known format: annotations.csv, COCO, Pascal VOC, YOLO, KITTI, ArcGIS's chips. A
raster with a layer of labels does as well: `prepare_data("ortho.tif", labels="pools.gpkg", area="labelled.gpkg")`.
"""

# %% What there is to learn from. Splits that are given are kept, otherwise blocks of ground are parted.
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).absolute().parents[3]))  # the folder that holds `tilehawk`
from tilehawk.core.learn import RetinaNet, prepare_data

folder, target = sys.argv[1:3]
data = prepare_data(folder, chip_size=64, batch_size=4, seed=1)
print(data)
data.show_batch(rows=1)
data.show_augmentations(versions=3)

# %% The model. Anchors are fitted to the labels' sizes; scales and ratios are those of the paper.
# This one is small, so that the example takes a minute on a processor: leave out `settings` for real work, and give
# pretrained_path="coco" or a model file to start from weights that have seen images before.
print(RetinaNet.backbones())
settings = {"backbone_stages": 2, "channels": 32, "head_channels": 32, "head_depth": 1, "ema_decay": 0.9}
model = RetinaNet(data, backbone="resnet18", scales=[1, 0.8, 0.63], ratios=[0.5, 1, 2], **settings)
print(model)

# %% The learning rate is found by trial: `rate.plot()` shows how.
rate = model.lr_find()
rate.plot()

# %% Train, and see how it went; fit again to go on. `unfreeze` lets a pretrained backbone learn, too.
model.fit(epochs=3, lr=rate)
model.unfreeze()
model.fit(epochs=2, lr=rate / 2, early_stopping=True)
model.plot_losses()

# %% How good is it? Every average precision says at which overlap (IoU) it was counted.
print(model.average_precision_score())
print(model.average_precision_score(detect_thresh=0.5, iou_thresh=0.1, mean=True))
model.show_results(rows=2)

# %% Save it, with a page of figures and pictures beside it, and use it: here, or with Detect objects in QGIS.
path = model.save(target)
again = RetinaNet.from_model(path)
image = data.prepared.choosing[0].path
boxes, labels, scores = again.predict(image)
print(f"{len(boxes)} objects on {image}; the model and its page are at {path}")

"""The Python interface: in a few lines from labels to a model, with the names of arcgis.learn and honest figures."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from core.job.card import read_card
from core.job.errors import InvalidJob, LabelError
from core.learn import RetinaNet, prepare_data
from core.scene.files import write_scene, write_scene_dataset
from core.scene.scene import draw_scene

EXAMPLE = Path(__file__).resolve().parents[2] / "resources" / "help" / "train_in_python.py"
SMALL = {
    "backbone": "resnet18", "backbone_stages": 2, "channels": 32, "head_channels": 32, "head_depth": 1,
    "ema_decay": 0.9, "steps_per_epoch": 10, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Six drawn scenes full of pools, of which two choose the best epoch."""
    path = tmp_path_factory.mktemp("scenes")
    return write_scene_dataset(path, 6, 160, 21, validation=0.34, density=3.0)


@pytest.fixture(scope="module")
def data(folder):
    return prepare_data(folder, chip_size=64, batch_size=4, seed=1)


@pytest.fixture(scope="module")
def model(data):
    model = RetinaNet(data, **SMALL)
    model.fit(3, lr=3e-3)
    return model


def test_data_tell_what_they_are(data):
    assert data.classes == ("pool",)
    assert "train: 13 objects on 4 images" in repr(data)
    assert data.show_batch(rows=1)._repr_html_().count("data:image/png") == 4


def test_a_training_gets_better_and_shows_it(model):
    losses = [epoch["loss"] for epoch in model._fitted.history]
    assert losses[-1] < losses[0]
    html = model.plot_losses()._repr_html_()
    assert "AP at IoU 0.3" in html
    assert html.count("<svg") == 2
    assert model.show_results(rows=1)._repr_html_().count("data:image/png") == 2


def test_a_second_fit_goes_on_from_the_best_weights(data):
    model = RetinaNet(data, **SMALL)
    model.fit(1, lr=3e-3)
    first = dict(model._fitted.best)
    model.fit(2, lr=1e-3, one_cycle=False, early_stopping=True)
    assert [epoch["epoch"] for epoch in model._fitted.history] == [1, 2, 3]
    choose_on = "ap30" if data.prepared.iou < 0.5 else "ap50"
    assert model._fitted.best[choose_on] >= first[choose_on]
    state = model.network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in model._fitted.state.items())


def test_average_precision_says_its_iou(model):
    scores = model.average_precision_score()
    assert list(scores) == ["pool"]
    assert repr(scores).endswith("(AP at IoU 0.3 on 2 validation images)")
    loose, strict = (model.average_precision_score(iou_thresh=iou, mean=True) for iou in (0.1, 0.7))
    assert 0 <= strict <= loose <= 1
    assert "AP at IoU 0.1" in repr(loose)
    assert model.average_precision_score(detect_thresh=1.01, mean=True) == 0.0


def test_scales_and_ratios_are_those_of_the_paper_also_written_downwards(data):
    model = RetinaNet(data, scales=[1, 0.8, 0.63], ratios=[0.5, 1, 2], **SMALL)
    assert model.card.architecture.anchor_scales == (1.0, 0.8, 0.63)
    assert model.card.architecture.anchor_ratios == (0.5, 1.0, 2.0)
    plain = RetinaNet(data, **SMALL).card.architecture
    assert plain.anchor_scales == pytest.approx((1.0, 2 ** (1 / 3), 2 ** (2 / 3)))
    assert RetinaNet.backbones() == ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


def test_a_pretrained_backbone_is_frozen_until_it_is_unfrozen(data, model, tmp_path):
    path = model.save(tmp_path / "pools")
    again = RetinaNet.from_model(path, data)
    assert again.average_precision_score(mean=True) == pytest.approx(model.average_precision_score(mean=True), abs=0.02)
    body = {name: value.clone() for name, value in again.network.backbone.body.named_parameters()}
    again.fit(1, lr=1e-3)
    kept = dict(again.network.backbone.body.named_parameters())
    assert all(torch.equal(kept[name], value) for name, value in body.items())
    again.unfreeze()
    again._fitted = None  # whichever epoch is the best: what matters is what has moved
    again.fit(1, lr=1e-3)
    assert any(not torch.equal(kept[name], body[name]) for name in body)


def test_a_saved_model_predicts_what_the_model_does(model, data, tmp_path):
    path = model.save(tmp_path / "pools")
    assert Path(path) == tmp_path / "pools.safetensors"
    assert "<h2>Sizes and anchors</h2>" in (tmp_path / "pools.html").read_text("utf-8")
    card = read_card(path)
    assert (card.name, card.threshold) == ("pools", model.card.threshold)
    assert card.training["epochs"] == len(model._fitted.history)
    again = RetinaNet.from_model(path)
    image = data.prepared.choosing[0].path
    boxes, labels, scores = again.predict(image, threshold=0.05)
    mine = model.predict(image, threshold=0.05)
    for box in mine.boxes[:10]:  # half precision may turn a box that scores near the threshold
        assert np.abs(boxes - box).max(axis=1).min() < 0.5
    assert len(boxes) == len(labels) == len(scores)
    assert (np.diff(scores) <= 0).all()
    assert model.predict(image, visualize=True)._repr_html_().count("data:image/png") == 1
    assert len(list(model.predict(image, return_scores=False))) == 2
    for call in (again.plot_losses, again.show_results, again.average_precision_score, lambda: again.save("x")):
        with pytest.raises(InvalidJob, match="opened without data"):
            call()


def test_values_are_predicted_either_way_round(model):
    values = np.random.default_rng(1).integers(0, 256, (3, 64, 96), np.uint8)
    first = model.predict(values, threshold=0.01)
    turned = model.predict(values.transpose(1, 2, 0), threshold=0.01)
    assert (first.boxes == turned.boxes).all()
    with pytest.raises(InvalidJob, match="An image is uint8"):
        model.predict(values.astype(float))


def test_an_interrupted_fit_goes_on(data, tmp_path, monkeypatch):
    whole = RetinaNet(data, **SMALL)
    whole.fit(2, lr=3e-3, checkpoint=tmp_path / "kept.partial")
    assert not (tmp_path / "kept.partial").exists()

    def broken(self, epochs, rate, ready=RetinaNet._ready):
        setup = ready(self, epochs, rate)
        judge, calls = setup.judge, []

        class Judge:
            pictures = judge.pictures

            def __call__(self, network):
                calls.append(1)
                if len(calls) == 2:
                    raise KeyboardInterrupt
                return judge(network)

        from dataclasses import replace

        return replace(setup, judge=Judge())

    torn = RetinaNet(data, **SMALL)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RetinaNet, "_ready", broken)
        torn.fit(2, lr=3e-3, checkpoint=tmp_path / "kept.partial")
    again = RetinaNet(data, **SMALL)
    again.fit(2, lr=3e-3, checkpoint=tmp_path / "kept.partial", resume=True)
    assert again._fitted.best["epoch"] == whole._fitted.best["epoch"]
    for name, value in whole.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], value)


def test_what_cannot_be_is_told(data, folder, tmp_path):
    with pytest.raises(InvalidJob, match="There is no setting 'learning_speed'"):
        RetinaNet(data, learning_speed=3)
    with pytest.raises(InvalidJob, match="fit it first"):
        RetinaNet(data, **SMALL).save(tmp_path / "m")
    with pytest.raises(InvalidJob, match="does not exist"):
        prepare_data(tmp_path / "nowhere")
    with pytest.raises(InvalidJob, match="The backbone 'vgg' is unknown"):
        RetinaNet(data, backbone="vgg")
    mapped = prepare_data(folder, class_mapping={"pool": "swimming pool"})
    assert mapped.classes == ("swimming pool",)
    with pytest.raises(LabelError, match="no object"):
        prepare_data(folder, classes=["boat"])


def test_a_raster_with_a_layer_of_labels_will_do(tmp_path):
    path = write_scene(tmp_path / "suburb.tif", draw_scene(512, 3, density=3.0))
    data = prepare_data(
        path, labels=tmp_path / "suburb_truth.gpkg", class_field="class", chip_size=64, transforms=False
    )
    assert data.classes == ("pool",)
    assert {split for split, count in data.prepared.counts.items() if count} == {"train", "val", "test"}
    assert data.job.augmentation.haze == 0
    with pytest.raises(InvalidJob, match="give the layer over it as `labels`"):
        prepare_data(path)


def test_the_example_runs(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(folder), str(tmp_path / "mine")])
    monkeypatch.setattr(sys, "path", [*sys.path])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    said = capsys.readouterr().out
    assert "AP at IoU 0.1" in said
    assert (tmp_path / "mine.safetensors").exists()
    assert (tmp_path / "mine.html").exists()

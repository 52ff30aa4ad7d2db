"""Training in Python: `data = prepare_data(…)`, `model = RetinaNet(data)`, `model.fit(10)`, `model.save("pools")`.

In the worker's environment, from the folder that holds the plugin: `from tilehawk.core.learn import prepare_data,
RetinaNet`; from a checkout: `from core.learn import …`. Names and meanings are those of arcgis.learn where it has
them; every average precision says its IoU. Plots show themselves in a notebook and need no plotting library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .accuracy.language import speaking
from .accuracy.looks import judge
from .accuracy.metrics import Assessment
from .accuracy.page import row
from .accuracy.plots import LearningRate, Plot, Score, Scores
from .accuracy.report import samples
from .accuracy.training_report import learning_curves
from .detections.detections import Detections
from .job.card import BACKBONES, ModelCard, read_card
from .job.errors import InvalidJob
from .job.train_job import TrainJob
from .labelled_data import Data, changed, prepare_data
from .prediction import Prediction, in_file_px, shown, values_of
from .retinanet.detector import Detector
from .retinanet.device import choose_backend
from .retinanet.weights import load_model, save_model
from .terminal import Terminal
from .training.checkpoint import Checkpoints
from .training.comparison import compare_with_old, destination
from .training.loop import fit as run
from .training.outcome import conclude
from .training.pictures import Picture
from .training.rate import find_learning_rate
from .training.recipe import Fitted
from .training.report import look_of, write_report
from .training.samples import Sampler
from .training.setup import Setup, checkpoints_of, set_up
from .training.validation import look_at

__all__ = ["Data", "Prediction", "RetinaNet", "prepare_data"]

PATIENCE = 5  # epochs without improvement after which early stopping ends a training


class RetinaNet:
    """A RetinaNet for the objects of some data: to be trained, tried, saved and taken up again.

    `scales` and `ratios`: of the anchors, in the paper's sense: factors on the base size of a level, and height over
    width (Lin et al. 2017, section 4); None: 2^0, 2^(1/3), 2^(2/3), and ratios that fit the labels. Base sizes and
    levels are fitted to the labels unless given in `settings` as `anchor_sizes` and `levels`. `backbone`: one of
    `backbones()`, resnet50 unless given. `pretrained_path`: a model of Tilehawk's, weights of torchvision or
    DeepForest, or "coco" or "imagenet", downloaded once; the backbone is then frozen until `unfreeze`. None: from
    scratch. `settings`: what else a TrainJob has on model and training, such as device or focal_gamma.
    """

    def __init__(
        self,
        data: Data,
        scales: Sequence[float] | None = None,
        ratios: Sequence[float] | None = None,
        backbone: str | None = None,
        pretrained_path: str | Path | None = None,
        **settings: Any,
    ) -> None:
        chosen: dict[str, Any] = {}
        if scales is not None:
            chosen["anchor_scales"] = tuple(map(float, scales))
        if ratios is not None:
            chosen["anchor_ratios"] = tuple(map(float, ratios))
        if backbone is not None:
            chosen["backbone"] = backbone
        if pretrained_path is not None:
            chosen["start_from"] = _start(str(pretrained_path))
        job = changed(data.job, {**chosen, **settings})
        job.validate()
        setup = set_up(job, data.prepared, choose_backend(job.device), Terminal().show)
        self._begin(setup.card, setup.network, setup.backend)
        self.data, self._job, self._setup = data, job, setup
        self._frozen = pretrained_path is not None

    def _begin(self, card: ModelCard, network: Any, backend: Any) -> None:
        self.card, self.network, self.backend = card, network, backend
        self.data: Data | None = None
        self._job: TrainJob | None = None
        self._setup: Setup | None = None
        self._fitted: Fitted | None = None
        self._fits = 0
        self._frozen = False

    @staticmethod
    def backbones() -> list[str]:
        """Names of the backbones there are."""
        return list(BACKBONES)

    @classmethod
    def from_model(cls, path: str | Path, data: Data | None = None) -> RetinaNet:
        """Open a saved model; with `data` it can be trained on and judged, without it only predicts.

        Other classes than the model's get new last layers. Raises ModelError.
        """
        if data is not None:
            model = cls(data, pretrained_path=path)
            saved = read_card(path)
            if [known.name for known in saved.classes] == [known.name for known in model.card.classes]:
                model.card = replace(model.card, threshold=saved.threshold)
            return model
        card, network = load_model(path)
        model = cls.__new__(cls)
        model._begin(card, network, choose_backend("auto"))
        return model

    def load(self, path: str | Path) -> None:
        """Take over the weights and anchors of a saved model, for the data at hand."""
        vars(self).update(vars(RetinaNet.from_model(path, self._with_data().data)))

    def unfreeze(self) -> None:
        """Let the backbone learn, too, in the fits to come."""
        self._frozen = False

    def lr_find(self, allow_plot: bool = True) -> LearningRate:
        """Find a learning rate by trial: it rises until the loss does; the weights stay as they are.

        A number; `.plot()` shows the curve. `allow_plot` says where it is.
        """
        rate, curve = find_learning_rate(self._ready(1, 0.0), Terminal().show, _never)
        found = LearningRate(rate)
        found.curve = curve
        if allow_plot:
            Terminal().say("The curve: .plot() of the value that lr_find gives.")
        return found

    def fit(
        self,
        epochs: int = 10,
        lr: float | None = None,
        one_cycle: bool = True,
        early_stopping: bool = False,
        checkpoint: str | Path | bool = True,
        resume: bool = False,
    ) -> None:
        """Train for some epochs, and keep the weights of the best: by AP at IoU 0.3 under 16 px, else at 0.5.

        `lr`: at its highest; None: found by `lr_find`. `one_cycle`: it rises and falls; otherwise it is steady and
        falls in the last epoch. `early_stopping`: ends when 5 epochs brought nothing better. A further call goes on
        from the best weights. `checkpoint`: a file in which an interrupted training is kept, to be gone on with by the
        same call and `resume`; True keeps the best epoch in memory alone. Raises ModelError where training diverges.
        """
        self._with_data()
        if epochs < 1:
            raise InvalidJob("Epochs must be at least 1.")
        kept = None if isinstance(checkpoint, bool) else self._checkpoints(Path(checkpoint), epochs, one_cycle)
        known = kept.learning_rate() if kept is not None and resume else None
        setup = self._ready(epochs, lr or known or self.lr_find(allow_plot=False))
        recipe = replace(
            setup.recipe,
            schedule="one_cycle" if one_cycle else "steady",
            patience=PATIENCE if early_stopping else None,
        )
        fitted = run(
            self.card,
            self.network,
            setup.sampler,
            recipe,
            self.backend,
            setup.judge,
            Terminal().show,
            checkpoints=kept,
            resume=resume,
        )
        if kept is not None:
            kept.remove()
        self._setup = replace(setup, recipe=recipe)
        self._take(fitted, recipe.choose_on)

    def plot_losses(self) -> Plot:
        """The losses and the accuracy of every epoch so far."""
        fitted = self._trained()
        return Plot("Training", [row(learning_curves(fitted.history, fitted.best["epoch"]))])

    def show_results(self, rows: int = 5, thresh: float | None = None, nms_overlap: float | None = None) -> Plot:
        """Windows of the images that choose: what is there beside what is found; two windows in a row.

        `thresh`: score from which a box is shown; `nms_overlap`: IoU above which the worse of two boxes of a class is
        dropped; None: the model's own.
        """
        card = self.card
        looks = [look_of(shown, found, card) for shown, found in self._found(nms_overlap)]
        threshold = card.threshold if thresh is None else thresh
        judged = [judge(look, threshold, self._with_data().data.prepared.iou) for look in looks]
        return Plot("Results", samples(judged, 2 * rows))

    def average_precision_score(
        self, detect_thresh: float = 0.0, iou_thresh: float | None = None, mean: bool = False
    ) -> Scores | Score:
        """Average precision by class, or their mean, on the images that choose the best epoch.

        `detect_thresh`: lowest score that counts; `iou_thresh`: overlap from which an object is found, None: 0.3 for
        objects under 16 px, else 0.5. arcgis.learn's own values are 0.5 and 0.1: give them to compare with it.
        """
        prepared = self._with_data().data.prepared
        iou = prepared.iou if iou_thresh is None else iou_thresh
        pairs = [(seen.take(seen.scores >= detect_thresh), shown.truth) for shown, seen in self._found(None)]
        assessment = Assessment(pairs)
        said = f"AP at IoU {iou:g} on {len(pairs)} {'validation' if prepared.has_choice else 'training'} images"
        if mean:
            score = Score(assessment.average_precision(iou))
            score.said = said
            return score
        names = [known.name for known in self.card.classes]
        scores = Scores({names[label]: assessment.average_precision(iou, label) for label in assessment.labels})
        scores.said = said
        return scores

    def predict(
        self,
        image: str | Path | np.ndarray,
        threshold: float | None = None,
        nms_overlap: float | None = None,
        return_scores: bool = True,
        visualize: bool = False,
    ) -> Prediction:
        """Find objects on one image: a file, or values 0-255 uint8 (C, H, W) or (H, W, C) at the model's resolution.

        A file is read at the model's resolution. `threshold`, `nms_overlap`: as in `show_results`. For rasters beyond
        100 million px save the model and use `detect`. Raises RasterError and InvalidJob.
        """
        values, to_source = values_of(image, self.card)
        found = self._look(Picture(values, Detections.empty(), "image"), nms_overlap)
        least = self.card.threshold if threshold is None else threshold
        found = found.take(np.flatnonzero(found.scores >= least))
        found = found.take(np.argsort(-found.scores, kind="stable"))
        names = tuple(self.card.classes[label].name for label in found.labels.tolist())
        plot = shown(values, found, self.card) if visualize else None
        return Prediction(in_file_px(found.boxes, to_source), names, found.scores if return_scores else None, plot)

    def save(self, name_or_path: str | Path, overwrite: bool = False) -> str:
        """Write the model, `<name>.safetensors`, and its page with figures of the test images; returns its path.

        A model that is there already is tested beside the new one, and kept where that is worse or cannot be known: the
        new one is then `<name>-2.safetensors`, unless `overwrite`. Raises OutputError.
        """
        fitted, setup, data = self._trained(), self._setup, self.data
        path = Path(name_or_path).absolute()
        path = path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")
        job = replace(self._job, output=str(path), epochs=len(fitted.history), learning_rate=setup.recipe.learning_rate)
        job = replace(job, overwrite=overwrite)
        job.validate()
        named = replace(setup.card, name=job.name or path.stem, title=job.title or job.name or path.stem)
        setup = replace(setup, card=named, network=self.network)
        outcome = compare_with_old(
            job, data.prepared, setup, conclude(job, data.prepared, setup, fitted), Terminal().show
        )
        output = destination(job, outcome, Terminal().show)
        self.card = replace(outcome.card, name=job.name or Path(output).stem)
        save_model(output, self.card, fitted.state)
        with speaking(job.language):
            write_report(output, self.card, fitted.history, outcome.found, outcome.split)
        return output

    def __repr__(self) -> str:
        shape, classes = self.card.architecture, ", ".join(known.name for known in self.card.classes)
        anchors = ", ".join(f"{size:g}" for size in shape.anchor_sizes)
        return f"<RetinaNet on {shape.backbone} for {classes}; {', '.join(shape.levels)} with anchors of {anchors} px>"

    def _with_data(self) -> RetinaNet:
        if self.data is None or self._setup is None or self._job is None:
            raise InvalidJob("This model was opened without data. Open it with RetinaNet.from_model(path, data).")
        return self

    def _trained(self) -> Fitted:
        self._with_data()
        if self._fitted is None:
            raise InvalidJob("The model has not been trained yet: fit it first.")
        return self._fitted

    def _ready(self, epochs: int, rate: float) -> Setup:
        """The setup for a fit, whose crops are not those of the fits before."""
        setup = self._with_data()._setup
        old = setup.sampler
        sampler = Sampler(old.pictures, old.tile_px, old.fill, old.augmentation, self._job.seed + self._fits)
        frozen = epochs if self._frozen else 0
        recipe = replace(setup.recipe, epochs=epochs, learning_rate=float(rate), freeze_backbone=frozen)
        return replace(setup, card=self.card, network=self.network, sampler=sampler, recipe=recipe)

    def _checkpoints(self, path: Path, epochs: int, one_cycle: bool) -> Checkpoints:
        about = {**checkpoints_of(self._job).about, "epochs": epochs, "one_cycle": one_cycle, "fits": self._fits}
        return Checkpoints(path.absolute(), path.absolute(), about)

    def _take(self, fitted: Fitted, choose_on: str) -> None:
        """Add a fit to those before, and go back to the best weights of all."""
        before = self._fitted
        if before is not None:
            last = before.history[-1]["epoch"]
            history = [{**figures, "epoch": figures["epoch"] + last} for figures in fitted.history]
            best = {**fitted.best, "epoch": fitted.best["epoch"] + last}
            state = fitted.state
            if before.best[choose_on] > best[choose_on]:
                best, state = before.best, before.state
            fitted = Fitted(state, best, [*before.history, *history], before.seconds + fitted.seconds)
        self.network.load_state_dict(fitted.state)
        self._fitted, self._fits = fitted, self._fits + 1
        self.card = replace(self.card, threshold=round(fitted.best["threshold"], 3))

    def _look(self, shown: Picture, nms_overlap: float | None) -> Detections:
        card = self.card if nms_overlap is None else replace(self.card, nms_overlap=nms_overlap)
        fill = np.array([round(band.mean) for band in card.bands], np.uint8)
        return look_at(Detector(card, self.network, self.backend), shown, fill)

    def _found(self, nms_overlap: float | None) -> list[tuple[Picture, Detections]]:
        card = self.card if nms_overlap is None else replace(self.card, nms_overlap=nms_overlap)
        prepared = self._with_data().data.prepared
        detector = Detector(card, self.network, self.backend)
        return [(shown, look_at(detector, shown, prepared.fill)) for shown in prepared.choosing]


def _start(name: str) -> str:
    return name if name in ("coco", "imagenet") else str(Path(name).absolute())


def _never() -> bool:
    return False

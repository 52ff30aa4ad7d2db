"""What a card's entries are called on the page of its model."""

from __future__ import annotations

from .language import tr


def setting(key: str) -> str:
    """Name of an entry: of what a training is set to (a field of TrainJob), or of what it was made from."""
    known = {
        "class_field": tr("Field with the class"),
        "ignore_field": tr("Field of doubtful objects"),
        "size_m": tr("Size of points, m"),
        "size_field": tr("Field with the size of points"),
        "extent": tr("Extent"),
        "name": tr("Name"),
        "title": tr("Title"),
        "description": tr("Description"),
        "classes": tr("Classes"),
        "backbone": tr("Backbone"),
        "backbone_stages": tr("Stages of the backbone"),
        "norm": tr("Norm of the backbone"),
        "levels": tr("Pyramid levels"),
        "channels": tr("Channels of the pyramid"),
        "head_channels": tr("Channels of the heads"),
        "head_depth": tr("Depth of the heads"),
        "head_norm": tr("Norm of the heads"),
        "anchor_sizes": tr("Anchor sizes"),
        "anchor_scales": tr("Anchor scales"),
        "anchor_ratios": tr("Anchor ratios"),
        "bands": tr("Bands"),
        "band_roles": tr("Roles of the bands"),
        "resolution_m": tr("Resolution, m a pixel"),
        "mix": tr("Earlier samples mixed in"),
        "tell_sources": tr("Sources told in the card"),
        "epochs": tr("Epochs"),
        "patience": tr("Patience, epochs"),
        "steps_per_epoch": tr("Steps an epoch"),
        "batch_size": tr("Batch size"),
        "tile_px": tr("Tile size, px"),
        "optimiser": tr("Optimiser"),
        "schedule": tr("Schedule of the learning rate"),
        "learning_rate": tr("Learning rate"),
        "weight_decay": tr("Weight decay"),
        "clip_gradient": tr("Clipping of gradients"),
        "freeze_backbone": tr("Epochs with a frozen backbone"),
        "focal_alpha": tr("Alpha of the focal loss"),
        "focal_gamma": tr("Gamma of the focal loss"),
        "box_loss": tr("Loss of boxes"),
        "ema_decay": tr("Decay of the averaged weights"),
        "augmentation": tr("Augmentation"),
        "seed": tr("Seed"),
        "device": tr("Device"),
        "checkpoint_minutes": tr("Minutes between checkpoints"),
        "license": tr("Licence"),
        "objects": tr("Objects"),
        "images": tr("Images"),
        "blocks": tr("Blocks of ground"),
        "steps": tr("Steps"),
        "backend": tr("Backend"),
    }
    return known.get(key) or key.replace("_", " ").capitalize()


def split_name(name: str) -> str:
    """Name of a split."""
    return {"train": tr("train"), "val": tr("val"), "test": tr("test")}.get(name, name)


def role(name: str) -> str:
    """Name of a band's role."""
    known = {
        "red": tr("red"),
        "green": tr("green"),
        "blue": tr("blue"),
        "nir": tr("near infrared"),
        "gray": tr("grey"),
        "other": tr("other"),
    }
    return known.get(name, name)


def figure_of(key: str) -> str:
    """Name of a figure of accuracy."""
    known = {
        "ap30": tr("AP at IoU {iou:g}").format(iou=0.3),
        "ap50": tr("AP at IoU {iou:g}").format(iou=0.5),
        "ap50_95": tr("AP at IoU 0.5 to 0.95"),
        "precision": tr("precision"),
        "recall": tr("recall"),
        "f1": "F1",
    }
    return known.get(key, key)


FIGURES = ("ap30", "ap50", "ap50_95", "precision", "recall", "f1")

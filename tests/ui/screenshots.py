"""Pictures of every window of the plugin in a real QGIS, in build/screenshots; the help takes its own from there.

    screenshots.py [--percent 100 150] [--theme light dark] [--keep]

Run it with the worker's Python: it draws a suburb, starts QGIS under xvfb-run in a throw-away profile for each font
size and theme, and in there runs itself again. `--keep` leaves the pictures of the help as they are.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(os.environ.get("TILEHAWK_ROOT") or Path(__file__).resolve().parents[2])
FOLDER = ROOT / "build" / "screenshots"
HELP = ROOT / "resources" / "help" / "images"
EPOCHS = FOLDER / "training.json"
SCENE_PX, SEED = 2048, 20
SMALL = {  # a training of a minute on a processor
    **{"backbone": "resnet18", "backbone_stages": 2, "channels": 32, "head_channels": 32, "head_depth": 2},
    **{"head_norm": "group", "batch_size": 4, "tile_px": 128, "ema_decay": 0.9, "learning_rate": 0.002},
    **{"epochs": 12, "steps_per_epoch": 40, "class_field": "class"},
}
SECONDS = 900
COLORS = {"window": 96, "": 160}  # of a palette: a map takes most of the room
POINTS = 9  # of QGIS's font at 100 %
THEMES = {"light": "", "dark": "\n[UI]\nUITheme=Night Mapping\n"}
IN_HELP = {  # name in the help: name of the picture
    "detect": "detect",
    "detect-advanced": "detect-advanced",
    "detect-try": "window-try",
    "detect-running": "window-running",
    "results": "window-results",
    "close-up": "window-close-up",
    "review": "window-review",
    "export": "export",
    "zones-map": "window-zones",
    "merge": "merge",
    "train": "train",
    "train-curve": "train-curve",
    "augmentation": "augmentation",
    "set-up": "set-up",
    "options": "options",
    "get-models": "get-models",
    "toolbox": "toolbox",
}


def main() -> int:
    """Start QGIS once for each font size and theme; 1 where a picture is missing."""
    options = parse_options()
    FOLDER.mkdir(parents=True, exist_ok=True)
    scene = draw_scene()
    learn(scene)
    failed = 0
    for theme in options.theme:
        for percent in options.percent:
            outcome = shoot_with(scene, theme, percent)
            print(f"{theme}, {percent} %: {outcome}", flush=True)
            failed |= outcome != "done"
    if not failed and not options.keep and "light" in options.theme and 100 in options.percent:
        fill_help()
    return failed


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--percent", type=int, nargs="+", default=[100, 150], help="sizes of the font")
    parser.add_argument("--theme", nargs="+", choices=list(THEMES), default=list(THEMES), help="themes of QGIS")
    parser.add_argument("--keep", action="store_true", help="leave the pictures of the help as they are")
    return parser.parse_args()


def draw_scene() -> Path:
    """Draw the suburb, unless it is there."""
    scene = FOLDER / "suburb.tif"
    if not scene.exists():
        command = [sys.executable, "-m", "core.scene", "demo", str(scene), "--size", str(SCENE_PX), "--seed", str(SEED)]
        subprocess.run(command, cwd=ROOT, check=True)
    return scene


def learn(scene: Path) -> None:
    """Train a small network on the suburb, for a curve and a window that are shown, unless they are there."""
    from core.job.train_job import TrainJob
    from core.train import train

    if EPOCHS.exists():
        return
    told: list[dict] = []
    window: dict = {}

    def listen(event: dict) -> None:
        if event["event"] == "sample":
            window.update(event)
        elif event["event"] == "epoch":
            told.append({**event, "sample": dict(window)})

    with tempfile.TemporaryDirectory() as folder:
        job = TrainJob(
            output=str(Path(folder) / "pools.safetensors"),
            rasters=(str(scene),),
            labels=(f"{scene.with_name(scene.stem + '_truth.gpkg')}|layername=truth",),
            **SMALL,
        )
        train(job, listen, lambda: False)
    EPOCHS.write_text(json.dumps(told))


def shoot_with(scene: Path, theme: str, percent: int) -> str:
    """Take all pictures in a QGIS of its own; 'done', or what went wrong."""
    from installed import make_profile, qgis_environment, run_program

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = folder / "report.txt"
        profile = make_profile(folder)
        with (profile / "profiles" / "default" / "QGIS" / "QGIS3.ini").open("a") as ini:
            ini.write(THEMES[theme])
            if percent != 100:
                ini.write(f"\n[app]\nfontPointSize={round(POINTS * percent / 100)}\n")
        for file in scene.parent.glob(f"{scene.stem}*"):
            shutil.copy(file, folder)
        environment = qgis_environment(
            profile,
            QT_QPA_PLATFORM="xcb",
            QT_FONT_DPI="96",  # whatever the display says: no scaling
            TILEHAWK_PERCENT=str(percent),
            TILEHAWK_ROOT=str(ROOT),
            TILEHAWK_REPORT=str(report),
            TILEHAWK_SUFFIX=f"{theme}-{percent}",
            TILEHAWK_RASTER=str(folder / scene.name),
        )
        qgis = ["qgis", "--nologo", "--noversioncheck", "--code", str(Path(__file__).resolve())]
        _, said = run_program(["xvfb-run", "-a", "-s", "-screen 0 1800x1250x24", *qgis], environment, SECONDS)
        return report.read_text() if report.exists() else said


def fill_help() -> None:
    """Put a light choice of the pictures into the help, each with a palette of its own."""
    from PIL import Image

    HELP.mkdir(parents=True, exist_ok=True)
    for old in HELP.glob("*.png"):
        old.unlink()
    for name, picture in IN_HELP.items():
        colors = COLORS["window" if picture.startswith("window") else ""]
        with Image.open(FOLDER / f"{picture}-light-100.png") as image:
            plain = image.convert("RGB")
            few = plain.quantize(colors, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)  # keeps vivid colours
            few.save(HELP / f"{name}.png", optimize=True)


def save(widget, name: str) -> None:
    """Save a picture of a widget."""
    widget.grab().save(str(FOLDER / f"{name}-{os.environ['TILEHAWK_SUFFIX']}.png"))


def shoot_and_leave() -> None:
    """Take the pictures and end QGIS: an error reaches neither its exit code nor the shell by itself."""
    try:
        sys.path.insert(0, str(ROOT))
        from tests.ui.screenshot_scenes import shoot

        shoot(Path(os.environ["TILEHAWK_RASTER"]), json.loads(EPOCHS.read_text()), save)
        said = "done"
    except BaseException:
        said = traceback.format_exc()
    Path(os.environ["TILEHAWK_REPORT"]).write_text(said)
    os._exit(0)


if "TILEHAWK_REPORT" in os.environ:
    from qgis.PyQt.QtCore import QTimer

    QTimer.singleShot(2000, shoot_and_leave)
elif __name__ == "__main__":
    sys.exit(main())

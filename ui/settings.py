"""The settings of the plugin: one value, read from and written to the QGIS profile."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from qgis.core import QgsSettings

from ..core.job.jobs import DEVICES

GROUP = "tilehawk"


@dataclass(frozen=True)
class Settings:
    """What the user has set once for all runs; empty text means: not set.

    `python`: interpreter of the worker. `device`: one of `DEVICES`. `model_folder`: where further models lie.
    `output_folder`: where the file dialog for results starts. `environment_folder`: where Tilehawk's own environments
    lie. `cluster`: address of a Dask scheduler, for detections. The others say how an environment is installed, as
    those of `InstallOptions`.
    """

    python: str = ""
    device: str = "auto"
    model_folder: str = ""
    output_folder: str = ""
    environment_folder: str = ""
    index_url: str = ""
    offline_folder: str = ""
    proxy: str = ""
    base_python: str = ""
    torch_backend: str = "auto"
    cluster: str = ""


def read_settings() -> Settings:
    """Read the settings; what is missing or unknown takes its default."""
    stored = QgsSettings()
    values = {
        name: str(stored.value(f"{GROUP}/{name}", default) or default) for name, default in asdict(Settings()).items()
    }
    if values["device"] not in DEVICES:
        values["device"] = Settings.device
    return Settings(**values)


def write_settings(settings: Settings) -> None:
    """Store the settings; a default is removed rather than stored."""
    stored = QgsSettings()
    defaults = asdict(Settings())
    for name, value in asdict(settings).items():
        if value == defaults[name]:
            stored.remove(f"{GROUP}/{name}")
        else:
            stored.setValue(f"{GROUP}/{name}", value)

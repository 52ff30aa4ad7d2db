"""Which Python the worker runs in."""

from __future__ import annotations

import os
from pathlib import Path

from qgis.core import QgsApplication

from ..core.job.environment.environment import Environment, default_folder
from ..core.job.environment.selftest import python_of
from ..core.job.errors import WorkerError
from ..core.job.worker import Worker
from .settings import Settings
from .wording import tr

ROOT = Path(__file__).parent.parent
VARIABLE = "TILEHAWK_PYTHON"


def own_environment() -> Environment:
    """Give the environment that 'Set up' makes, in the user's data folder, shared by all QGIS profiles."""
    return Environment(default_folder())


def find_python(settings: Settings) -> str:
    """Choose the worker's interpreter.

    The one in the settings, else of the variable TILEHAWK_PYTHON, else `.venv` beside the plugin's code (a developer's
    checkout), else the environment that 'Set up' has made. Raises WorkerError that says where to set it.
    """
    chosen = settings.python or os.environ.get(VARIABLE, "")
    if chosen:
        if not Path(chosen).is_file():
            where = tr("Tilehawk's options") if settings.python else tr("the variable {name}").format(name=VARIABLE)
            raise WorkerError(
                tr("The Python interpreter '{path}' set in {where} does not exist.").format(path=chosen, where=where)
            )
        return chosen
    developers = python_of(ROOT / ".venv")
    if developers.is_file():
        return str(developers)
    state = own_environment().state()
    if state.python is None:
        where = tr("Set it up in Settings > Options > Tilehawk, or choose an interpreter with PyTorch there.")
        raise WorkerError(f"{state.sentence} {where}")
    return state.python


def open_worker(python: str) -> Worker:
    """Start the worker; its log lies in the QGIS profile."""
    log = Path(QgsApplication.qgisSettingsDirPath()) / "tilehawk" / "worker.log"
    return Worker(python, root=str(ROOT), log_path=str(log))

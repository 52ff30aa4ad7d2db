"""Which Python the worker runs in, and how Tilehawk's own is installed."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from qgis.core import QgsApplication

from ..core.job.environment.downloads import Fetch, fetch_url
from ..core.job.environment.environment import Environment, default_folder
from ..core.job.environment.selftest import python_of
from ..core.job.environment.state import InstallOptions
from ..core.job.errors import WorkerError
from ..core.job.worker import Worker
from .network import make_fetch, proxy_for
from .settings import Settings, read_settings
from .wording import tr

ROOT = Path(__file__).parent.parent
VARIABLE = "TILEHAWK_PYTHON"
PACKAGE_INDEX = "https://pypi.org/simple"


def own_environment(settings: Settings, fetch: Fetch = fetch_url) -> Environment:
    """Give the environment that 'Install' makes, in the user's data folder, shared by all QGIS profiles."""
    folder = Path(settings.environment_folder) if settings.environment_folder else default_folder()
    return Environment(folder, fetch=fetch)


def installer_fetch(settings: Settings) -> Fetch:
    """Say how the installer comes: through QGIS's network, or the proxy of the settings; for the main thread."""
    return partial(fetch_url, proxy=settings.proxy) if settings.proxy else make_fetch()


def install_options(settings: Settings) -> InstallOptions:
    """Say how to install, with QGIS's proxy where the settings name none; for the main thread."""
    proxy = settings.proxy or proxy_for(settings.index_url or PACKAGE_INDEX)
    return InstallOptions(
        index_url=settings.index_url or None,
        offline_folder=settings.offline_folder or None,
        proxy=proxy or None,
        python=settings.base_python or None,
        torch_backend=settings.torch_backend,
    )


def chosen_python(settings: Settings) -> str | None:
    """Give the interpreter that takes the place of Tilehawk's own environment, None where that serves.

    The one in the settings, else of the variable TILEHAWK_PYTHON, else `.venv` beside the plugin's code (a developer's
    checkout). Raises WorkerError where the one that is set does not exist.
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
    return str(developers) if developers.is_file() else None


def find_python(settings: Settings) -> str:
    """Choose the worker's interpreter: the chosen one, else that of Tilehawk's own environment.

    Raises WorkerError that says where to set it.
    """
    chosen = chosen_python(settings)
    if chosen is not None:
        return chosen
    state = own_environment(settings).state()
    if state.python is None:
        where = tr("Set it up in Settings > Options > Tilehawk, or choose a Python with PyTorch there.")
        raise WorkerError(f"{state.sentence} {where}")
    return state.python


def open_worker(python: str, name: str = "worker", *, low_priority: bool = False) -> Worker:
    """Start the worker; its log `name`.log lies in the QGIS profile."""
    log = Path(QgsApplication.qgisSettingsDirPath()) / "tilehawk" / f"{name}.log"
    return Worker(python, root=str(ROOT), log_path=str(log), low_priority=low_priority)


def open_warm_worker() -> Worker:
    """Start a worker that a dialog keeps loaded, at a low priority; for another thread than the main one."""
    return open_worker(find_python(read_settings()), "warm-worker", low_priority=True)

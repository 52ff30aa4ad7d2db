"""A throwaway QGIS profile with the plugin in it, so that no run touches the user's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def make_profile(folder: Path, plugin: Path = ROOT) -> dict[str, str]:
    """Make a profile in `folder` with the plugin linked into it; returns the environment in which QGIS uses it.

    `plugin`: folder of the plugin's code. Raises CalledProcessError where QGIS does not take the plugin.
    """
    shutil.rmtree(folder, ignore_errors=True)  # qgis_process refuses to enable a plugin twice
    plugins = folder / "profiles" / "default" / "python" / "plugins"
    plugins.mkdir(parents=True)
    link = plugins / "tilehawk"
    link.symlink_to(plugin, target_is_directory=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    # QGIS's own Python looks for its library beside the python3 that comes first on the path.
    environment["PATH"] = os.pathsep.join([str(Path(program("qgis_process")).parent), os.environ["PATH"]])
    environment["QGIS_CUSTOM_CONFIG_PATH"] = str(folder)
    qgis_process(["plugins", "enable", "tilehawk"], environment)
    return environment


def program(name: str) -> str:
    """Path of a program of QGIS; raises FileNotFoundError."""
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"'{name}' is not on the path: run 'make env', which installs QGIS.")
    return found


def qgis_process(arguments: list[str], environment: dict[str, str], stdin: str | None = None) -> str:
    """Run qgis_process without a display and return what it printed; raises CalledProcessError."""
    run = subprocess.run(
        ["qgis_process", *arguments],
        env={**environment, "QT_QPA_PLATFORM": "offscreen"},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        sys.stderr.write(run.stdout + run.stderr)
        run.check_returncode()
    return run.stdout


if __name__ == "__main__":
    # QGIS itself with the plugin from this checkout: PROFILE [FILES TO OPEN…]
    profile, *files = sys.argv[1:]
    environment = make_profile(Path(profile).resolve())
    command = ["qgis", "--noversioncheck", "--profiles-path", profile, *filter(os.path.exists, files)]
    sys.exit(subprocess.run(command, env=environment, check=False).returncode)

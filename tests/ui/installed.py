"""A throw-away QGIS profile with the checkout installed as a plugin, and a clean environment to start QGIS in."""

import os
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INI = """[PythonPlugins]
tilehawk={enabled}
processing=true

[core]
NewsFeed\\httpfeedqgisorg\\disabled=true
"""


def make_profile(folder: Path, *, enabled: bool = True) -> Path:
    """Make the profile `default` under `folder`, in which the plugin is a link to the checkout."""
    profile = folder / "profiles" / "default"
    (profile / "python" / "plugins").mkdir(parents=True)
    (profile / "python" / "plugins" / "tilehawk").symlink_to(ROOT)
    (profile / "QGIS").mkdir()
    (profile / "QGIS" / "QGIS3.ini").write_text(INI.format(enabled=str(enabled).lower()))
    return folder


def qgis_environment(folder: Path, **more: str) -> dict[str, str]:
    """Environment for a QGIS of its own: the system's Python first on the path, or QGIS takes another one's library."""
    foreign = ("QGIS_", "PYTHON", "VIRTUAL_ENV", "TILEHAWK_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        "PATH": f"/usr/bin:/bin:{os.environ['PATH']}",
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_CUSTOM_CONFIG_PATH": str(folder),
        **more,
    }


def run_program(command: list[str], environment: dict[str, str], seconds: float) -> tuple[int, str]:
    """Run a program and give its exit code and all it said; one that takes longer is killed with its children."""
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            return 124, said
    return process.returncode, said

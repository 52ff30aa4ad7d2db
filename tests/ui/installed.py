"""A throw-away QGIS profile with the checkout installed as a plugin, and a clean environment to start QGIS in.

installed.py PROFILE [FILES TO OPEN…]     opens QGIS so
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKER_PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
INI = """[PythonPlugins]
tilehawk={enabled}
processing=true

[core]
NewsFeed\\httpfeedqgisorg\\disabled=true
"""


def make_profile(folder: Path, plugin: Path = ROOT, *, enabled: bool = True) -> Path:
    """Make the profile `default` under `folder`, in which the plugin is a link; one that is there is replaced.

    `plugin`: folder of the plugin's code.
    """
    profile = folder / "profiles" / "default"
    shutil.rmtree(profile, ignore_errors=True)
    (profile / "python" / "plugins").mkdir(parents=True)
    (profile / "python" / "plugins" / "tilehawk").symlink_to(plugin, target_is_directory=True)
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


def qgis_process(arguments: list[str], environment: dict[str, str], stdin: str | None = None) -> str:
    """Run qgis_process and give what it has printed; raises CalledProcessError once its errors are shown."""
    run = subprocess.run(
        ["qgis_process", *arguments], env=environment, input=stdin, capture_output=True, text=True, check=False
    )
    if run.returncode:
        sys.stderr.write(run.stdout + run.stderr)
        run.check_returncode()
    return run.stdout


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


def open_qgis(folder: Path, files: list[str]) -> int:
    """Open QGIS with those of the files that exist, and wait for its end; gives its exit code."""
    environment = qgis_environment(make_profile(folder))
    del environment["QT_QPA_PLATFORM"]  # a window to be seen
    command = ["qgis", "--noversioncheck", "--profiles-path", str(folder), *filter(os.path.exists, files)]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(open_qgis(Path(sys.argv[1]).resolve(), sys.argv[2:]))

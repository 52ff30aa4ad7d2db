"""Memory does not grow with the number of objects; tests/benchmarks/memory.py is the same at full size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from core.detections.detections import Detections
from core.detections.parts import Parts
from core.detections.vectors import write_detections
from core.gathering import Gathering
from core.imagery.grid import Grid
from core.imagery.tiles import plan_tiles
from core.settings import Settings

output, tiles_down, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if limit:
    from core import gathering
    from core.detections import parts
    gathering.PART_BOXES = parts.STRIP_OBJECTS = limit
grid = Grid(1280, 384 * tiles_down + 128, (0.6, 0.0, 4e5, 0.0, -0.6, 3.7e6))
plan = plan_tiles(grid, 512, 128, 128)
settings = Settings(0.5, 0.1, 0.5, 512, 128, np.array([0]), "seams")
parts = Parts(output, {})
gathered = Gathering(plan, None, settings, 1, parts, resume=False)
rng, cells = np.random.default_rng(0), np.stack(np.meshgrid(np.arange(32), np.arange(32)), -1).reshape(-1, 2) * 16.0
for index in plan.indexes():
    corner = cells + rng.uniform(0, 8, (1024, 2))
    boxes = np.concatenate([corner, corner + 7], axis=1).astype(np.float32)
    gathered.add(int(index), Detections(boxes, rng.random(1024).astype(np.float32), np.zeros(1024, np.int64)))
    gathered.save_now_and_then()
gathered.finish()
write_detections(output, parts.row_by_row(), grid, ["thing"], {}, [], 0.5)
status = Path("/proc/self/status").read_text()
print(json.dumps([parts.total, int(status.partition("VmHWM:")[2].split()[0]) / 1024]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_ten_times_the_objects_take_the_same_memory(tmp_path):
    def run(tiles_down, limit):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / f"{tiles_down}.gpkg"), str(tiles_down), str(limit)]
        return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=300).stdout)

    (few, peak_of_few), (many, peak_of_many) = run(8, 10_000), run(80, 10_000)
    assert few > 10_000 and many > 9 * few
    assert peak_of_many - peak_of_few < 30  # measured 4; all objects at once: 61

"""Stands in for `python -m core run`: answers each job as the plan beside it says."""

import json
import os
import select
import shutil
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


def work(seconds: float) -> bool:
    """Work so long, with signs of life; False where asked to stop."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done = 1 - (end - time.monotonic()) / seconds
        say(event="progress", done=done, text="Looking at tiles", seconds_left=end - time.monotonic())
        if select.select([sys.stdin], [], [], 0.1)[0]:
            return False  # a cancel line, or the end of whoever asked
    return True


def main() -> None:
    plan = json.loads((HERE / "plan.json").read_text())
    (HERE / "pid").write_text(str(os.getpid()))
    for line in sys.stdin:
        job = json.loads(line)
        with (HERE / "jobs.jsonl").open("a") as jobs:
            jobs.write(line)
        for text, level in plan["notices"]:
            say(event="notice", text=text, level=level)
        if not work(plan["seconds"]):
            say(event="error", kind="Cancelled", text="Cancelled.")
            continue
        if plan["error"]:
            say(event="error", kind=plan["error"][0], text=plan["error"][1])
            continue
        shutil.copy(HERE / "result.gpkg", job["output"])
        say(
            event="result",
            output=job["output"],
            layers={"detections": "detections", "not_examined": "not_examined"},
            objects={"pool": 2, "tree": 1},
            above_floor=5,
            threshold=0.4 if job["threshold"] is None else job["threshold"],
            tiles=1,
            seconds=0.5,
            tiles_per_second=2.0,
            device="CPU",
            backend="none",
            not_examined_m2=plan["not_examined_m2"],
            notices=[],
            model=job["model"],
            raster=job["raster"],
        )


main()

"""A detection in a process of its own, told line by line, that is there to be killed; an ideal detector looks.

With a job as JSON it is told on stdout; with the words of a command line it is that command.

Its scores depend on the place in the batch: who goes on after a crash with other batches gets other scores.
"""

import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core import detect, gathering
from core.__main__ import main
from core.detections import parts
from core.detections.detections import Detections
from core.job.jobs import job_from_json
from tests.core.test_detect import IdealDetector


class Unsteady(IdealDetector):
    """Sees an object worse the later it comes in a batch; takes its time."""

    def __call__(self, images, score_floor, nms_overlap):
        time.sleep(0.005)
        seen = super().__call__(images, score_floor, nms_overlap)
        return [Detections(one.boxes, one.scores * (1 - k / 50), one.labels) for k, one in enumerate(seen)]


def tell(event):
    if event["event"] in ("progress", "notice"):
        print(event["text"], flush=True)


if __name__ == "__main__":
    if "often" in sys.argv:
        gathering.PART_SECONDS = 0.0
    parts.STRIP_OBJECTS = 10
    if sys.argv[1] == "detect":
        gathering.PART_SECONDS = 0.0
        detect.detect = partial(detect.detect, open_detector=lambda path, device: Unsteady())
        sys.exit(main(sys.argv[1:]))
    detect.detect(job_from_json(sys.argv[1]), tell, lambda: False, lambda path, device: Unsteady())

import numpy as np

from core.detections.detections import Detections
from core.training.pictures import Picture
from core.training.suppression import suppression_overlap

APART = [[10 * k, 0, 10 * k + 10, 10] for k in range(20)]  # side by side
# Boxes of 10 px shifted by 5 share a third of what both cover, by 6 a quarter.
CROWDED, NEAR = [0, 5, 10, 15], [0, 6, 10, 16]


def picture(boxes: list, labels: list[int] | None = None, ignore: list[bool] | None = None) -> Picture:
    return Picture(np.zeros((3, 256, 256), np.uint8), Detections.truth(np.array(boxes, float), labels, ignore), "p")


def test_objects_that_lie_apart_or_barely_meet_leave_no_duplicate():
    assert suppression_overlap([picture(APART)]) == 0.3
    assert suppression_overlap([picture([*APART, NEAR])]) == 0.3
    assert suppression_overlap([]) == 0.3


def test_objects_that_crowd_are_kept():
    assert suppression_overlap([picture(APART), picture([*APART, CROWDED])]) == 0.5


def test_two_in_two_thousand_are_a_mistake_of_labelling():
    assert suppression_overlap([picture(APART)] * 99 + [picture([*APART, CROWDED])]) == 0.3
    assert suppression_overlap([picture(APART)] * 98 + [picture([*APART, CROWDED])]) == 0.5


def test_other_classes_and_doubtful_objects_say_nothing():
    assert suppression_overlap([picture([*APART, CROWDED], [0] * 20 + [1])]) == 0.3
    assert suppression_overlap([picture([*APART, CROWDED], [0] * 21, [False] * 20 + [True])]) == 0.3

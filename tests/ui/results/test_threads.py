"""Reading one file in many threads at once never locks: layers are opened in the main thread alone."""

from tilehawk.ui.background import Work, start_work
from tilehawk.ui.results.counting import counting
from tilehawk.ui.results.filter import Filter
from tilehawk.ui.results.origin import origin_of
from tilehawk.ui.review.loading import reading

from tests.ui.scenery import wait_until


def test_counting_and_reading_at_once_while_the_filter_moves(found):
    ends = []
    for round_ in range(10):
        for work in (
            Work("counting", counting(found, "box_area_m2", None, None)),
            Work("reading", reading(found, origin_of(found), Filter(0.1), False)),
        ):
            work.done.connect(ends.append)
            work.failed.connect(ends.append)
            start_work(work)
        found.setSubsetString(f'"score" >= 0.{round_}')
    wait_until(lambda: len(ends) == 20)
    assert not any(isinstance(end, str) for end in ends)

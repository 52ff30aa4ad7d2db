import pytest

from core.job.errors import ModelError
from core.job.events import error, from_line, notice, progress, result, to_line


@pytest.mark.parametrize(
    "event",
    [
        progress(0.5, "Tile 3 of 6", 12.0),
        progress(1, "Writing"),
        notice("Größe angenommen", "warning"),
        result({"output": "/a b/ö.gpkg", "objects": {"pool": 3}}),
        error(ModelError("No model.")),
        {"event": "boxes", "boxes": [[0.1, 0.2, 0.3, 0.4]], "scores": [0.5], "labels": [0]},
    ],
    ids=lambda event: event["event"],
)
def test_events_survive_the_round_trip_on_one_ascii_line(event):
    line = to_line(event)
    assert line.isascii() and "\n" not in line
    assert from_line(line) == event


def test_an_error_names_its_kind():
    assert error(ModelError("No model.")) == {"event": "error", "kind": "ModelError", "text": "No model."}


@pytest.mark.parametrize(
    "line",
    ["", "hello", "{}", "[1]", "null", '{"event": 3}', '{"event": "x"', "[" * 100_000, '{"event": "p", "done": NaN}'],
    ids=lambda line: line[:20],
)
def test_a_stray_print_is_no_event(line):
    assert from_line(line) is None

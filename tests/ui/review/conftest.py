"""The same layers as for the results."""

from tests.ui.results.conftest import found, many, nothing_left_running, zones  # noqa: F401

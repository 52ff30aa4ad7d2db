"""Errors that reach the user: every message is a sentence a GIS analyst can act on.

Raised anywhere, caught only at the edges (the command line, the worker, the Processing algorithm).
"""


class TilehawkError(Exception):
    """Base of every error whose message is meant for the user."""


class InvalidJob(TilehawkError):
    """A job asks for something impossible or contradictory; nothing has been started."""


class RasterError(TilehawkError):
    """A raster cannot be read, or not as the model needs it."""


class ModelError(TilehawkError):
    """A model file cannot be read, or does not fit what is asked of it."""


class LabelError(TilehawkError):
    """Training labels cannot be used."""


class OutputError(TilehawkError):
    """A result cannot be written."""


class WorkerError(TilehawkError):
    """The worker process cannot be started, or died; the message names its log file."""


class Cancelled(TilehawkError):
    """The user asked to stop; nothing is left behind."""

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)

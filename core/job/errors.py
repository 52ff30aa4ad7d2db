"""Errors that reach the user: every message is a sentence a GIS analyst can act on.

Raised anywhere, caught only at the edges (the command line, the worker, the Processing algorithm).
"""

import errno


class TilehawkError(Exception):
    """Base of every error whose message is meant for the user."""


class InvalidJob(TilehawkError):
    """A job asks for something impossible or contradictory; nothing has been started."""


class CannotResume(InvalidJob):
    """What an earlier run left is another job's, or damaged; nothing has been started, and it is still there."""


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


class ClusterError(TilehawkError):
    """A cluster cannot be reached, has gone, or is not set up for this."""


class Cancelled(TilehawkError):
    """The user asked to stop; nothing is left behind."""

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)


class Interrupted(Cancelled):
    """A shell or a shutdown asked the process to end; what a job can resume from stays."""

    def __init__(self, message: str = "Interrupted.") -> None:
        super().__init__(message)


KINDS = {
    kind.__name__: kind
    for kind in (InvalidJob, CannotResume, RasterError, ModelError, LabelError, OutputError, WorkerError, ClusterError)
}


def explain(problem: BaseException) -> TilehawkError:
    """Turn whatever was raised into an error the user can act on; a TilehawkError stays as it is."""
    if isinstance(problem, TilehawkError):
        return problem
    text = str(problem).strip()
    if isinstance(problem, ImportError):
        what = f"The module '{problem.name}' is missing" if isinstance(problem, ModuleNotFoundError) else text
        sentence = f"Tilehawk's Python environment is incomplete. {what}. Set the environment up again."
    elif type(problem).__name__ == "OutOfMemoryError":  # torch's; torch is not imported here
        sentence = "The graphics card's memory ran out. Choose a smaller batch size or tile, or the device 'cpu'."
    elif isinstance(problem, MemoryError) or "can't allocate memory" in text:
        sentence = "The memory ran out. Choose a smaller batch size or tile, or close other programs."
    elif isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
        return OutputError("The disk is full. Make room on it, or write the result to another one.")
    else:
        sentence = f"Something unexpected went wrong: {type(problem).__name__}{': ' if text else ''}{text}."
    return WorkerError(sentence)

import errno

import pytest

from core.job import errors
from core.job.errors import Cancelled, Interrupted, ModelError, OutputError, TilehawkError, WorkerError, explain


def test_every_kind_is_known_by_its_name():
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TilehawkError)}
    assert set(errors.KINDS.values()) == kinds - {TilehawkError, Cancelled, Interrupted}


def test_an_error_for_the_user_stays_as_it_is():
    problem = ModelError("No model.")
    assert explain(problem) is problem


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    ("problem", "kind", "sentence"),
    [
        (ModuleNotFoundError("No module named 'torch'", name="torch"), WorkerError, "module 'torch' is missing"),
        (ImportError("DLL load failed"), WorkerError, "environment is incomplete. DLL load failed"),
        (OutOfMemoryError("CUDA out of memory"), WorkerError, "graphics card's memory ran out"),
        (MemoryError(), WorkerError, "The memory ran out"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), WorkerError, "The memory ran out"),
        (OSError(errno.ENOSPC, "No space left on device"), OutputError, "The disk is full"),
        (ValueError("bad"), WorkerError, "Something unexpected went wrong: ValueError: bad."),
        (KeyError(), WorkerError, "Something unexpected went wrong: KeyError."),
    ],
    ids=repr,
)
def test_anything_else_becomes_a_sentence(problem, kind, sentence):
    explained = explain(problem)
    assert type(explained) is kind
    assert sentence in str(explained)

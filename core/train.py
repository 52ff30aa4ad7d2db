"""The verb `train`: from labelled imagery to one model file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from .accuracy.language import speaking
from .job.errors import OutputError
from .job.events import Report, notice
from .job.train_job import TrainJob
from .retinanet.device import choose_backend
from .retinanet.weights import save_model
from .training.block_layer import write_blocks
from .training.comparison import compare_with_old, destination
from .training.loop import fit
from .training.outcome import Outcome, conclude
from .training.preparation import Prepared, prepare
from .training.rate import find_learning_rate
from .training.recipe import Fitted, Requests
from .training.report import write_report
from .training.setup import checkpoints_of, set_up, with_rate
from .training.team import join_team


def train(
    job: TrainJob, report: Report, cancelled: Callable[[], bool], stopped: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Train a model and write it, its page and its blocks; gives the values of the result event.

    A model that is there already is kept unless the new one is known to be as good, or the job says to overwrite it:
    `output` is then another file, and `kept` the old one.

    `stopped` ends the training early and keeps the best of it; `cancelled` leaves what `resume` goes on from.
    """
    job.validate()
    team, backend = join_team(choose_backend(job.device))
    report = report if team.leads else lambda event: None
    prepared = prepare(job, report)
    setup = set_up(job, prepared, backend, report)
    report(
        notice(
            f"Training on {prepared.counts['train']} objects in {len(prepared.pictures['train'])} images, choosing on "
            f"{len(setup.judge.pictures)} images, on {backend.name} ({backend.key})."
        )
    )
    checkpoints = checkpoints_of(job, team.size)
    if job.learning_rate is None:
        known = checkpoints.learning_rate() if job.resume else None
        setup = with_rate(setup, team.agree(known or find_learning_rate(setup, report, cancelled)[0]))
    fitted = fit(
        setup.card,
        setup.network,
        setup.sampler,
        setup.recipe,
        backend,
        setup.judge,
        report,
        Requests(cancelled, stopped),
        checkpoints,
        resume=job.resume,
        checkpoint_seconds=60 * job.checkpoint_minutes,
        team=team,
    )
    result = {"output": job.output, "metrics": fitted.best, "history": fitted.history, "seconds": round(fitted.seconds)}
    if team.leads:
        outcome = compare_with_old(job, prepared, setup, conclude(job, prepared, setup, fitted), report)
        output = destination(job, outcome, report)
        card = replace(outcome.card, name=job.name or Path(output).stem)
        save_model(output, card, fitted.state)
        checkpoints.remove()
        result |= {"output": output, "kept": job.output if output != job.output else None, "metrics": card.metrics}
        with speaking(job.language):
            result |= _write_beside(output, prepared, fitted, replace(outcome, card=card), report)
    team.part()
    return result


def _write_beside(
    output: str, prepared: Prepared, fitted: Fitted, outcome: Outcome, report: Report
) -> dict[str, str | None]:
    """Write the page and the blocks beside a model; what cannot be written is told, for the model itself is safe."""
    written: dict[str, str | None] = {"report": None, "blocks": None}
    blocks = Path(output).with_suffix(".blocks.gpkg")
    try:
        written["report"] = write_report(output, outcome.card, fitted.history, outcome.found, outcome.split)
        written["blocks"] = str(blocks) if write_blocks(blocks, prepared.labelled.blocks) else None
    except OutputError as problem:
        report(notice(str(problem), "warning"))
    return written

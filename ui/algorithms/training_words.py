"""How a new model does beside the old one, in the user's words."""

from __future__ import annotations

from typing import Any, Optional

from ..wording import tr

AP = {"ap30": "AP30", "ap50": "AP50"}


def comparison_words(compared: Optional[dict[str, Any]]) -> str:
    """Say plainly which of two models is better on the same test area; "" where nothing was compared."""
    if not compared:
        return ""
    name, old, new = compared["decides"], compared["old"], compared["new"]
    difference, bounds = compared["difference"][name], compared["intervals"].get(name)
    if difference == 0:
        verdict = tr("As good as the old model")
    else:
        verdict = tr("Better than the old model") if difference > 0 else tr("Worse than the old model")
    said = tr(
        "{verdict}: of {objects} objects in the test area it finds {found} (before: {old_found}), and {wrong} of its "
        "detections are wrong (before: {old_wrong}). {ap} {value:.2f} (before: {old_value:.2f})."
    ).format(
        verdict=verdict,
        objects=f"{compared['objects']:,}",
        found=f"{new['found']:,}",
        old_found=f"{old['found']:,}",
        wrong=f"{new['wrong']:,}",
        old_wrong=f"{old['wrong']:,}",
        ap=AP[name],
        value=new[name],
        old_value=old[name],
    )
    chance = difference and bounds and bounds[0] <= 0 <= bounds[1]
    return f"{said} {tr('The difference may be chance.')}" if chance else said

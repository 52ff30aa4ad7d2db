"""What the comparison of two models on the same test images says: `compared` of a card's metrics, in words."""

from __future__ import annotations

from typing import Any

IOU_OF = {"ap30": 0.3, "ap50": 0.5}


def is_worse(compared: dict[str, Any]) -> bool:
    """Whether the new model is worse by the figure that decides."""
    return compared["difference"][compared["decides"]] < 0


def in_words(compared: dict[str, Any]) -> str:
    """Say plainly what a comparison says, and where it may be chance."""
    old, new, name = compared["old"], compared["new"], compared["decides"]
    difference, bounds = compared["difference"][name], compared["intervals"].get(name)
    what = "better than" if difference > 0 else "worse than" if difference < 0 else "as good as"
    more, fewer = new["found"] - old["found"], old["wrong"] - new["wrong"]
    found = f"{abs(more):,} {'more' if more > 0 else 'fewer'}" if more else "as many"
    wrong = f"{abs(fewer):,} {'fewer' if fewer > 0 else 'more'}" if fewer else "as many"
    text = (
        f"On the same {compared['images']:,} test images the new model is {what} the old one: AP at IoU "
        f"{IOU_OF[name]:g} is {new[name]:.2f}, and was {old[name]:.2f}; of {compared['objects']:,} objects it finds "
        f"{found}, and {wrong} of its detections are wrong."
    )
    chance = bounds is not None and bounds[0] <= 0 <= bounds[1] and difference
    return text + " The difference may be chance." if chance else text

"""How training changes its samples, so that the model learns the object and not the picture."""

from __future__ import annotations

from dataclasses import dataclass, fields

from .errors import InvalidJob


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes to a sample.

    `turns`: 1 for the eight flips and quarter turns, 0 for none. `scale`: jitter of size, a factor to either side, from
    1 on. `brightness`, `contrast`, `saturation`: largest relative change. `haze`: largest share of white. `shadow`:
    chance of a shadow with a straight edge across the sample. `blur`: chance of a slight blur. `noise`: largest
    standard deviation of noise, in values of 0-255. `cast`: largest relative change of one band. `mosaic`: share of the
    samples put together of four.
    """

    turns: int = 1
    scale: float = 1.25
    brightness: float = 0.25
    contrast: float = 0.25
    saturation: float = 0.3
    haze: float = 0.2
    shadow: float = 0.0
    blur: float = 0.1
    noise: float = 5.0
    cast: float = 0.08
    mosaic: float = 0.0

    def validate(self) -> None:
        """Check that every range is possible; raises InvalidJob with a sentence."""
        if self.turns not in (0, 1):
            raise InvalidJob("Flips and turns are on (1) or off (0).")
        if not 1 <= self.scale <= 4:
            raise InvalidJob(f"The jitter of size is a factor between 1 and 4, not {self.scale:g}.")
        if not 0 <= self.noise <= 128:
            raise InvalidJob(f"The noise must lie between 0 and 128, not {self.noise:g}.")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in ("turns", "scale", "noise") and not 0 <= value <= 1:
                raise InvalidJob(f"The augmentation '{field.name}' must lie between 0 and 1, not {value:g}.")


NO_AUGMENTATION = Augmentation(0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def parse_augmentation(text: str) -> Augmentation:
    """Read `default`, `none`, or changes of the default such as `scale=1.1, haze=0`; raises InvalidJob."""
    if text.strip() in ("default", "none"):
        return Augmentation() if text.strip() == "default" else NO_AUGMENTATION
    known = {field.name: field.default for field in fields(Augmentation)}
    values = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in known:
            raise InvalidJob(f"There is no augmentation '{name}'; choose among {', '.join(known)}.")
        try:
            values[name] = type(known[name])(value)
        except ValueError as problem:
            raise InvalidJob(f"The augmentation '{name}' needs a number, not '{value}'.") from problem
    return Augmentation(**values)

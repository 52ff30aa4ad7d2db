import pytest

from core.job.augmentation import NO_AUGMENTATION, Augmentation, parse_augmentation
from core.job.errors import InvalidJob


def test_augmentation_is_read_as_people_write_it():
    assert parse_augmentation("default") == Augmentation()
    assert parse_augmentation(" none ") == NO_AUGMENTATION
    assert parse_augmentation("scale=1.1, haze = 0,turns=0") == Augmentation(scale=1.1, haze=0.0, turns=0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("zoom=2", "There is no augmentation 'zoom'"), ("haze=much", "'haze' needs a number"), ("haze", "needs a number")],
)
def test_what_cannot_be_read_is_told(text, sentence):
    with pytest.raises(InvalidJob, match=sentence):
        parse_augmentation(text)


def test_no_augmentation_is_valid_and_changes_nothing():
    NO_AUGMENTATION.validate()
    Augmentation().validate()
    assert NO_AUGMENTATION.scale == 1
    assert not any(value for name, value in vars(NO_AUGMENTATION).items() if name != "scale")


@pytest.mark.parametrize("values", [{"turns": 2}, {"scale": 5.0}, {"noise": -1.0}, {"mosaic": 1.5}])
def test_impossible_ranges_are_refused(values):
    with pytest.raises(InvalidJob):
        Augmentation(**values).validate()

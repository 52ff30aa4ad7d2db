import pytest

from core.job.errors import InvalidJob
from core.job.factors import parse_factors

THIRD = 2 ** (1 / 3)


@pytest.mark.parametrize(
    ("text", "factors"),
    [
        ("0.5,1,2", (0.5, 1, 2)),
        ("1, 0.8, 0.63", (0.63, 0.8, 1)),
        ("2^0, 2^1/3, 2^2/3", (1, THIRD, THIRD**2)),
        ("[2**0, 2**(1/3), 2**(2/3)]", (1, THIRD, THIRD**2)),
        ("2^-1/3; 1", (1 / THIRD, 1)),
        ("1:2, 1:1, 2:1", (0.5, 1, 2)),
        ("[1, 1, .5,]", (0.5, 1)),
    ],
)
def test_factors_are_read_however_they_are_written(text, factors):
    assert parse_factors(text) == pytest.approx(factors)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "at least one"),
        ("[]", "at least one"),
        ("1, wide", "'wide' is no factor"),
        ("1, -2", "'-2' is no factor"),
        ("0", "'0' is no positive factor"),
        ("1/0", "'1/0' is no factor"),
        ("9^99", "'9^99' is no positive factor"),
        ("9^9999", "'9^9999' is no positive factor"),
        ("1e5", "'1e5' is no factor"),
    ],
)
def test_what_is_no_factor_is_told(text, sentence):
    with pytest.raises(InvalidJob, match=sentence.replace("^", r"\^")):
        parse_factors(text)

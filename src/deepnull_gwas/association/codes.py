"""Why a variant was not tested, and how it was: small numbers inside the scan, words in its results."""

from __future__ import annotations

import numpy as np

#: Reasons; the first, empty, is that of a tested variant.
REASONS = (
    "",
    "no_calls",
    "constant",
    "low_mac",
    "hwe",
    "missingness_difference",
    "collinear",
    "separation",
    "not_converged",
    "study_failed",
    "sex_unknown",
    "low_info",
)
#: Methods; the first, empty, is that of a variant not tested.
METHODS = ("", "linear", "score", "logistic", "firth", "firth_approximate", "spa")

TESTED, NO_CALLS, CONSTANT, LOW_MAC, HWE, MISSINGNESS, COLLINEAR, SEPARATION, NOT_CONVERGED, STUDY_FAILED = range(10)
SEX_UNKNOWN, LOW_INFO = 10, 11
UNTESTED, LINEAR, SCORE, LOGISTIC, FIRTH, FIRTH_APPROXIMATE, SPA = range(len(METHODS))

#: A variant is collinear with the covariates when less than this fraction of its variance is left.
COLLINEAR_BELOW = 1e-5

_WORDS = {"reason": np.array(REASONS, dtype=object), "method": np.array(METHODS, dtype=object)}


def to_words(column: str, codes: np.ndarray) -> np.ndarray:
    """Turn the codes of a column into words; other columns stay as they are."""
    last = column.rpartition(".")[2]
    return _WORDS[last][codes] if last in _WORDS else codes

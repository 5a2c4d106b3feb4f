"""The columns of a result: counts and frequencies, why a variant is not tested, estimates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepnull_gwas.association.codes import (
    CONSTANT,
    HWE,
    LOW_INFO,
    LOW_MAC,
    MISSINGNESS,
    NO_CALLS,
    NOT_CONVERGED,
    SEX_UNKNOWN,
    STUDY_FAILED,
    TESTED,
    UNTESTED,
)
from deepnull_gwas.association.design import StudyDesign
from deepnull_gwas.association.settings import Settings
from deepnull_gwas.association.tails import neg_log10_p_t
from deepnull_gwas.cohort.hwe import hwe_below
from deepnull_gwas.genotypes.block import Block, Mask


@dataclass
class Estimates:
    """Results of one study and arm on a block: arrays over variants; NaN where not tested.

    Attributes
    ----------
    values
        float64[variants, 3]: beta, standard error, -log10 p.
    reason, method
        int8[variants], see :mod:`deepnull_gwas.association.codes`.
    df
        float64[variants], residual degrees of freedom (linear).
    """

    values: np.ndarray
    reason: np.ndarray
    method: np.ndarray
    df: np.ndarray

    @classmethod
    def empty(cls, reason: np.ndarray) -> Estimates:
        """Make room for the variants of a block, some of which are not to be tested."""
        n = len(reason)
        return cls(np.full((n, 3), np.nan), reason.copy(), np.full(n, UNTESTED, dtype=np.int8), np.full(n, np.nan))

    def finish(self) -> None:
        """Compute the tails that the table does not reach; give an estimate that is not a number its reason."""
        beta, se, p = self.values.T
        rows = np.flatnonzero((self.reason == TESTED) & ~np.isfinite(p))
        if len(rows):
            with np.errstate(divide="ignore", invalid="ignore"):
                self.values[rows, 2] = neg_log10_p_t(beta[rows] / se[rows], self.df[rows])
            rows = rows[~(np.isfinite(self.values[rows]).all(axis=1) & (se[rows] > 0))]
            self.reason[rows] = NOT_CONVERGED
            self.values[rows] = np.nan


def count_people(block: Block, mask: Mask, n: int, drop: bool) -> np.ndarray:
    """Return how many of ``n`` people of a mask the test of each variant is of: int32."""
    observed = block.observed(mask)
    return (observed if drop else np.where(observed > 0, n, 0)).astype(np.int32)


def frequency(alleles: np.ndarray, chromosomes: np.ndarray) -> np.ndarray:
    """Return the frequency of the effect allele, NaN where there are no chromosomes."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return alleles / chromosomes


def find_untestable(
    block: Block,
    mask: Mask,
    hwe: Mask | None,
    settings: Settings,
    rare: np.ndarray | None = None,
    differs: np.ndarray | None = None,
) -> np.ndarray:
    """Return why each variant is not to be tested among the people of a mask: int8 codes, 0 where it is.

    Parameters
    ----------
    block, mask
        Variants and people.
    hwe
        Of whom the Hardy-Weinberg test is; None, of nobody.
    settings
        min_mac, min_info, hwe_p.
    rare
        bool, one per variant: too few copies for another reason than ``min_mac``.
    differs
        int64, variants whose calls are missing more often in cases or in controls.
    """
    alleles, chromosomes = block.alleles(mask)
    mac = np.minimum(alleles, chromosomes - alleles)
    low = mac < settings.min_mac
    reason = np.full(block.n_variants, TESTED, dtype=np.int8)
    if settings.hwe_p > 0 and hwe is not None:
        h = block.calls(hwe)
        reason[hwe_below(h[:, 1], h[:, 0], h[:, 2], settings.hwe_p)] = HWE
    if settings.min_info > 0 and block.imputed:
        reason[block.information(mask) < settings.min_info] = LOW_INFO
    if differs is not None:
        reason[differs] = MISSINGNESS
    reason[low if rare is None else low | rare] = LOW_MAC
    reason[(block.moments(mask)[1] <= 0) | (mac <= 0)] = CONSTANT
    reason[block.observed(mask) == 0] = NO_CALLS
    return reason


def put_arm(out: dict[str, np.ndarray], design: StudyDesign, arm: str, found: Estimates | None, n: int) -> None:
    """Fill in the columns of one arm; of a failed one with the reason, for ``n`` variants.

    Parameters
    ----------
    out
        Columns by name; changed in place.
    design
        The study.
    arm
        Which arm.
    found
        Its estimates; None where it failed.
    n
        Number of variants.
    """
    key = f"{design.study.name}.{arm}"
    if arm in design.failures or found is None:
        values = np.full((n, 3), np.nan)
        failed = SEX_UNKNOWN if design.sex_unknown and arm not in design.study.failures else STUDY_FAILED
        reason, method = np.full(n, failed, np.int8), np.zeros(n, np.int8)
    else:
        values, reason, method = found.values, found.reason, found.method
        if reason.any():
            values[reason != TESTED] = np.nan
    out[f"{key}.beta"], out[f"{key}.se"], out[f"{key}.neg_log10_p"] = values.T
    out[f"{key}.method"], out[f"{key}.reason"] = method, reason

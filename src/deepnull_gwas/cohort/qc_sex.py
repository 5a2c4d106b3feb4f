"""Recorded sex against F on X, and the sex that tests use."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.qc_flow import Flow
from deepnull_gwas.cohort.qc_measures import LEAST_X
from deepnull_gwas.errors import InputError
from deepnull_gwas.tables import write_tsv

logger = logging.getLogger(__name__)

#: Of this many people or more whose sex X shows, at most this share may be recorded as the other sex: neighbours
#: differ in half of all cases.
_LEAST_PEOPLE, _MOST_WRONG = 20, 0.25


def filter_sex(
    flow: Flow,
    settings: Mapping[str, Any],
    recorded: np.ndarray,
    persons: pd.DataFrame,
    bounds: tuple[float, float],
    n_variants: int,
) -> None:
    """Compare recorded sex with F on X; remove who differs or is unclear, or only say so."""
    action = settings.get("sex_check")
    if action not in ("exclude", "warn"):
        return
    rule = f"recorded sex as F on X: female < {bounds[0]:g}, male > {bounds[1]:g} ({n_variants:,} variants)"
    none = np.zeros(len(recorded), dtype=bool)
    if n_variants < LEAST_X:
        flow.apply("sex_check", "people", none, f"not done: {n_variants} variants on X, {LEAST_X} are needed", "")
        return
    inferred = persons["inferred_sex"].to_numpy()
    _refuse_foreign_sex(recorded, inferred, flow.passed["people"])
    known = (recorded > 0) & np.isfinite(persons["x_f"].to_numpy())
    fails = known & (recorded != inferred)
    if action == "warn":
        count = int((fails & flow.passed["people"]).sum())
        logger.warning(
            "%s people differ from their recorded sex, or their F on X is unclear (kept: sex_check is warn)", count
        )
        flow.apply("sex_check", "people", none, f"{rule}; {count:,} people differ, kept (warn only)", "")
        return
    names = np.array(["unclear", "male", "female"], dtype=object)
    flow.apply(
        "sex_check", "people", fails, rule, "recorded sex {}, sex by X {} (F {:.3f})",
        names[recorded], names[inferred], persons["x_f"].to_numpy(), key="qc.sex_check",
    )  # fmt: skip


def complete_sex(
    people: pd.DataFrame, persons: pd.DataFrame, settings: Mapping[str, Any], n_variants: int, out: str | Path | None
) -> np.ndarray:
    """Return each person's sex for the tests (int8): where none is recorded, by F on X if it is to be used.

    The people without a recorded sex are listed in ``out``.
    """
    recorded = people["recorded_sex"].to_numpy(dtype=np.int8)
    inferred = persons["inferred_sex"].to_numpy(dtype=np.int8)
    use = bool(settings.get("infer_sex"))
    sex = np.where((recorded == 0) & use, inferred, recorded).astype(np.int8)
    unknown = recorded == 0
    table = people.loc[unknown, ["sample_index", "fid", "iid"]].assign(
        x_f=persons["x_f"].to_numpy()[unknown], inferred_sex=inferred[unknown], used_sex=sex[unknown]
    )
    if out is not None:
        write_tsv(table, out)
    if not len(table) or not n_variants:
        return sex
    where = "qc/inferred_sex.tsv has each"
    if use:
        logger.warning(
            "sex of %s people is taken from F on X (%s variants), since none is recorded: %s male, %s female, %s "
            "unclear and left out on X (%s)",
            f"{len(table):,}", f"{n_variants:,}",
            *(f"{int((sex[unknown] == code).sum()):,}" for code in (1, 2, 0)), where,
        )  # fmt: skip
        names = np.array(["unclear", "male", "female"], dtype=object)
        for row in table.itertuples():
            logger.info("%s %s: %s by F on X (%.3f)", row.fid, row.iid, names[row.used_sex], row.x_f)
    else:
        logger.warning(
            "no sex is recorded of %s people: they are left out on X and Y; F on X tells it for %s of them, and "
            "qc.infer_sex would use that (%s)",
            f"{len(table):,}", f"{int((inferred[unknown] > 0).sum()):,}", where,
        )  # fmt: skip
    return sex


def _refuse_foreign_sex(recorded: np.ndarray, inferred: np.ndarray, counted: np.ndarray) -> None:
    """Refuse recorded sexes that mostly differ from what X tells: of other people, or coded the other way round."""
    clear = counted & (recorded > 0) & (inferred > 0)
    wrong = int((clear & (recorded != inferred)).sum())
    if clear.sum() >= _LEAST_PEOPLE and wrong > _MOST_WRONG * clear.sum():
        raise InputError(
            f"recorded sex and X differ in {wrong:,} of {int(clear.sum()):,} people of whom F on X is clear: either 1 "
            "and 2 are the wrong way round "
            "(1 is male, 2 female), or the table of people is not that of these genotypes, and everybody would get "
            "somebody else's genotypes. Compare the files; "
            'if the sexes alone are wrong, leave them out (0), or switch the check off (qc.sex_check: "off")'
        )

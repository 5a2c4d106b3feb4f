"""The account of the filters of quality control."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from deepnull_gwas.errors import InputError

logger = logging.getLogger(__name__)


class Flow:
    """The account of the filters: what comes in, what each removes, what goes out, and why.

    Parameters
    ----------
    what
        For messages: the cohort's genotype index.
    sizes
        Number of ``variants`` and ``people``.

    Attributes
    ----------
    passed, filter, reason
        For each unit, one per variant or person: bool; the first filter failed, its step and in words (object), empty
        where passed.
    rows
        One per filter: step, unit, before, removed, after, rule.
    """

    def __init__(self, what: str, **sizes: int):
        self.what = what
        self.passed = {unit: np.ones(n, dtype=bool) for unit, n in sizes.items()}
        self.filter = {unit: np.full(n, "", dtype=object) for unit, n in sizes.items()}
        self.reason = {unit: np.full(n, "", dtype=object) for unit, n in sizes.items()}
        self.rows: list[dict[str, Any]] = []

    def apply(
        self, step: str, unit: str, fails: np.ndarray, rule: str, why: str, *values: np.ndarray, key: str | None = None
    ) -> None:
        """Remove what fails a filter and count it.

        Parameters
        ----------
        step, unit
            Name of the filter; ``variants`` or ``people``.
        fails
            bool; what failed an earlier filter is not counted again.
        rule
            What has to hold, in words, with the cut-off.
        why
            The reason in words; a template for ``values`` where given.
        values
            One array each for the places in the template.
        key
            The config key to relax, for the message.

        Raises
        ------
        InputError
            When nothing remains: the message names this filter.
        """
        passed = self.passed[unit]
        before = int(passed.sum())
        newly = np.flatnonzero(passed & fails)
        columns = [np.asarray(v)[newly] for v in values]
        self.filter[unit][newly] = step
        self.reason[unit][newly] = [why.format(*row) for row in zip(*columns)] if columns else why
        passed[newly] = False
        after = before - len(newly)
        self.rows.append(
            {"step": step, "unit": unit, "before": before, "removed": len(newly), "after": after, "rule": rule}
        )
        logger.info("%s: %s of %s %s removed (%s)", step, f"{len(newly):,}", f"{before:,}", unit, rule)
        if after == 0:
            account = "; ".join(
                f"{r['step']} removed {r['removed']:,} of {r['before']:,}" for r in self.rows if r["unit"] == unit
            )
            raise InputError(
                f"{self.what}: no {unit} remain after the filter '{step}' ({rule}). All filters of {unit} so far: "
                f"{account}. " + (f"Relax {key} in the config, or look at the data." if key else "Look at the data.")
            )

    def require(
        self,
        step: str,
        unit: str,
        what: str,
        values: np.ndarray,
        least: float,
        key: str,
        over: str = "",
        form: str = ".4g",
    ) -> None:
        """Remove what has a value below a limit (see :meth:`apply`).

        Parameters
        ----------
        step, unit
            Name of the filter; ``variants`` or ``people``.
        what
            Name of the value, in words.
        values
            One per variant or person; a missing value (NaN) passes.
        least
            The limit; 0 switches the filter off.
        key
            Key of ``qc`` in the config that sets it.
        over, form
            Over what the value is computed, and its format, for the account.
        """
        rule = f"{what} >= {least:g}{over}" if least else "switched off"
        with np.errstate(invalid="ignore"):
            fails = values < least
        self.apply(step, unit, fails, rule, f"{what} {{:{form}}} is below {least:g}{over}", values, key=f"qc.{key}")

"""What the configuration says about the tests, as one frozen object.

The schema of the configuration (``workflow/schemas/config.schema.yaml``, section ``association``) says what each key
means and is the only home of defaults: the section comes here complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The section ``association`` of the configuration, but for how the work is spread over jobs and cores."""

    missing_genotypes: str
    min_mac: float
    min_mac_cases: float
    min_info: float
    hwe_p: float
    missingness_p: float
    exact: bool
    refine_below: float
    refine_by: str
    firth: str
    firth_form: str
    firth_mac: float
    x_male_copies: int
    variants_per_block: int

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Settings:
        """Read them from a complete, validated section; its other keys are of other steps.

        Raises
        ------
        KeyError
            Where the section lacks a key.
        """
        return cls(**{f.name: section[f.name] for f in fields(cls)})

    @property
    def drop(self) -> bool:
        """Whether people without a genotype are left out, variant by variant; they have the mean otherwise."""
        return self.missing_genotypes == "drop"

    @property
    def dtype(self) -> type:
        """Precision of the products of genotypes with columns."""
        return np.float64 if self.exact else np.float32

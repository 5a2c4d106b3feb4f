"""Which tests a kind of trait has: a module with the same few names, so that the scan never asks which trait it is.

A strategy has

``COLUMNS``
    Columns of a study in addition to ``n`` and ``eaf``: name -> Arrow type.
``BUFFERS``
    Bytes that a thread holds at a time, in addition to the block and its products.
``is_analysable(y)``
    Whether the values of a phenotype can be analysed, however many there are.
``fit(design)``
    Fit the null models of a design's arms, given its offsets, into ``design.nulls``; arms that fail into
    ``design.failures``.
``prepare(designs, rules, layout, settings)``
    Ask the layout for columns and return the tests (:class:`deepnull_gwas.association.layout.GroupTests`) of studies
    with the same people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import numpy as np
import pyarrow as pa

from deepnull_gwas.association import binary, quantitative
from deepnull_gwas.association.classes import ClassRules
from deepnull_gwas.association.design import StudyDesign
from deepnull_gwas.association.layout import GroupTests, Layout
from deepnull_gwas.association.settings import Settings
from deepnull_gwas.traits import BINARY, QUANTITATIVE


class Strategy(Protocol):
    """What the scan asks of a kind of trait; see the module."""

    COLUMNS: Mapping[str, pa.DataType]
    BUFFERS: int

    @staticmethod
    def is_analysable(y: np.ndarray) -> bool:
        """Return whether the values of a phenotype can be analysed, however many there are."""

    @staticmethod
    def fit(design: StudyDesign) -> None:
        """Fit the null models of a design."""

    @staticmethod
    def prepare(
        designs: Mapping[int, StudyDesign], rules: ClassRules, layout: Layout, settings: Settings
    ) -> Sequence[GroupTests]:
        """Prepare the tests of studies with the same people."""


#: Name of a trait -> its strategy.
STRATEGIES: Mapping[str, Strategy] = MappingProxyType({QUANTITATIVE.name: quantitative, BINARY.name: binary})

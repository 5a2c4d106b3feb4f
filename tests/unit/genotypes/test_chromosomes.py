"""Classes of chromosomes, as quality control and tests use them."""

from __future__ import annotations

import numpy as np

from deepnull_gwas.genotypes.chromosomes import CLASSES, chromosome_classes, class_codes


def test_classes_follow_the_pseudo_autosomal_bounds_of_each_build():
    chromosome = ["1", "22", "X", "X", "X", "XY", "Y", "Y", "MT"]
    position = np.array([5, 5, 100_000, 3_000_000, 155_000_000, 9, 5, 59_100_000, 5])
    found = chromosome_classes(chromosome, position, "GRCh37")
    assert list(found) == ["autosome", "autosome", "autosome", "X", "autosome", "autosome", "Y", "autosome", "MT"]
    # of the newer build 155,000,000 is outside, and 56,900,000 of Y inside
    found = chromosome_classes(["X", "Y"], [155_000_000, 56_900_000], "GRCh38")
    assert list(found) == ["X", "autosome"]


def test_codes_are_places_among_the_names():
    chromosome, position = np.array(["MT", "Y", "X", "9"]), np.array([1, 1, 50_000_000, 1])
    codes = class_codes(chromosome, position, "GRCh38")
    assert codes.dtype == np.int8
    assert [CLASSES[c] for c in codes] == list(chromosome_classes(chromosome, position, "GRCh38"))
    assert list(codes) == [3, 2, 1, 0]

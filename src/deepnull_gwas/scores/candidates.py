"""The polygenic scores that a study's models may use: of a file of weights, trained here, or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deepnull_gwas.errors import InputError
from deepnull_gwas.genotypes.chromosomes import AUTOSOMES
from deepnull_gwas.genotypes.formats import open_genotypes
from deepnull_gwas.scores.accuracy import choose_threshold
from deepnull_gwas.scores.clumping import CrossScores, Rules, Sample, cross_scores
from deepnull_gwas.scores.matching import match_weights, score_people
from deepnull_gwas.scores.weights import read_weights
from deepnull_gwas.tables import read_json, read_parquet

#: What of the header of a file of weights is repeated.
_HEADER = (
    "pgs_id",
    "pgs_name",
    "trait_reported",
    "weight_type",
    "genome_build",
    "HmPOS_build",
    "format_version",
    "variants_number",
)


@dataclass(frozen=True)
class CohortFiles:
    """Files of the cohort.

    Attributes
    ----------
    genotypes, variants, qc_variants
        genotypes.json, variants.parquet, qc/variants.parquet.
    """

    genotypes: str | Path
    variants: str | Path
    qc_variants: str | Path


@dataclass(frozen=True)
class Candidates:
    """Scores of a study's people, of which the models of each fold use one or none.

    Attributes
    ----------
    about
        What is reported of all of them; ``method`` is ``none``, ``file`` or ``clump``.
    given
        float64[n]: the score of a file of weights, else None.
    trained
        Scores trained on the other folds, one per threshold, else None.
    """

    about: dict[str, Any]
    given: np.ndarray | None = None
    trained: CrossScores | None = None

    def choose(
        self, arm: int, fold: int, design: np.ndarray, y: np.ndarray, others: np.ndarray
    ) -> tuple[np.ndarray | None, dict[str, Any]]:
        """Choose the score by which a fold is predicted, without looking at its phenotypes.

        Parameters
        ----------
        arm, fold
            0 without the DeepNull covariate, 1 with it; the fold.
        design, y, others
            Covariates float64[n, p] and phenotypes float64[n] of everybody, and bool[n]: who is in the other folds.

        Returns
        -------
        The score of everybody, float64[n], or None where none is used; and what is reported of the choice.
        """
        if self.given is not None:
            return self.given, {"fold": fold, "used": True}
        if self.trained is not None:
            scores = self.trained.scores[arm, fold]
            at = choose_threshold(scores[:, others], design[others], y[others])
            if at is not None:
                variants = int(self.trained.variants[arm, fold, at])
                return scores[at], {
                    "fold": fold, "used": True, "p": self.trained.thresholds[at], "variants": variants,
                }  # fmt: skip
        return None, {"fold": fold, "used": False}


def candidate_scores(
    cohort: CohortFiles, sample: Sample, settings: Mapping[str, Any], score_file: str | Path | None, threads: int
) -> Candidates:
    """Compute the scores of a study's people: by a file of weights where there is one, else as the settings say.

    Parameters
    ----------
    cohort
        Files of the cohort.
    sample
        The people of the study.
    settings
        The ``scores`` section of the config.
    score_file
        Weights in the format of the PGS Catalog, or None.
    threads
        Blocks of variants at a time; the result does not depend on it.

    Raises
    ------
    InputError
        When the file of weights is wrong or hardly any of its variants are in the cohort.
    """
    if score_file is None and settings["method"] != "clump":
        return Candidates({"method": "none"})
    columns = ["index", "chromosome", "position", "id", "effect_allele", "other_allele"]
    table = read_parquet(cohort.variants, columns=columns)
    passed = read_parquet(cohort.qc_variants, columns=["passed"])["passed"].to_numpy(bool)
    if len(passed) != len(table):
        raise InputError(
            f"{cohort.qc_variants}: {len(passed)} variants, {cohort.variants} has {len(table)}; delete them and run "
            f"again"
        )
    fileset = open_genotypes(cohort.genotypes)
    if score_file is not None:
        weights = read_weights(score_file, read_json(cohort.genotypes)["genome_build"])
        matched = match_weights(weights, table[passed], score_file, settings["minimum_matched"])
        about = {
            "method": "file",
            "file": str(score_file),
            "weights": matched.total,
            "used": len(matched.index),
            "share_used": len(matched.index) / matched.total,
            "rows": matched.counts,
            "positions": weights.positions,
            "header": {key: weights.header[key] for key in _HEADER if key in weights.header},
            "warnings": weights.warnings,
        }
        return Candidates(about, given=score_people(fileset, matched, sample.people))
    table = table[passed & table["chromosome"].isin(AUTOSOMES).to_numpy()]
    variants = {
        "index": table["index"].to_numpy(np.int64),
        "chromosome": table["chromosome"].to_numpy(object),
        "position": table["position"].to_numpy(np.int64),
    }
    rules = Rules(sorted(map(float, settings["p_thresholds"])), settings["window_kb"], settings["r2"])
    trained = cross_scores(fileset, variants, sample, rules, threads)
    about = {"method": "clump", "tested": trained.tested, "thresholds": trained.thresholds}
    about |= {"window_kb": settings["window_kb"], "r2": settings["r2"]}
    return Candidates(about, trained=trained)

"""What the estimate of one job depends on, and what an estimate is."""

from __future__ import annotations

from dataclasses import dataclass

from deepnull_gwas.config import Cohort, Config, Study
from deepnull_gwas.resources.size import Size

#: Share of the variants that is left after pruning, and the most that are, as a guess on the high side.
PRUNED_SHARE, PRUNED_MOST = 0.2, 250_000
#: Columns that a categorical covariate counts for: its groups are not known before the sample table is read.
COLUMNS_OF_CATEGORICAL = 4


@dataclass(frozen=True)
class Job:
    """One job of a rule: what its estimate depends on.

    Attributes
    ----------
    config
        The configuration.
    cohort, size
        Cohort that the job is about, and its size; of a job about the whole run no cohort, and the largest size.
    studies
        Studies that the job is about.
    threads
        Its threads.
    base
        Folder to which the config's paths refer.
    """

    config: Config
    cohort: Cohort | None
    size: Size
    studies: tuple[Study, ...]
    threads: int
    base: str

    @property
    def chunk(self) -> int:
        """Variants of a chunk."""
        return -(-self.size.variants // self.cohort.chunks)

    @property
    def pruned(self) -> int:
        """Variants left after pruning, at most."""
        return int(min(PRUNED_SHARE * self.size.variants, PRUNED_MOST))

    @property
    def covariates(self) -> int:
        """Columns of covariates of all studies of the job."""
        return sum(columns_of(s) for s in self.studies)

    @property
    def width(self) -> int:
        """Columns of the design of a batch: per study a basis, phenotype and covariate; more for binary traits."""
        total = 0
        for study in self.studies:
            p = columns_of(study) + 1
            total += p + len(study.arms) * (p + 3) if study.has_cases else p + 2
            if self.has_correlated(study):
                # each arm has its own correlations, and so its own basis
                total += len(study.arms) * (p + 2)
        return total

    def has_correlated(self, study: Study) -> bool:
        """Return whether the tests of a study take relatives into account."""
        return study.is_whole_genome and self.cohort.keeps_relatives(study)

    @property
    def arms(self) -> int:
        """Arms of all studies of the job."""
        return sum(len(s.arms) for s in self.studies)


def columns_of(study: Study) -> int:
    """Return the number of encoded covariates of a study, components included; an upper guess for categorical ones."""
    categorical = len(study.categorical_covariates)
    return len(study.covariates) - categorical + COLUMNS_OF_CATEGORICAL * categorical + study.pcs


@dataclass(frozen=True)
class Estimate:
    """What a job is expected to need.

    Attributes
    ----------
    mb
        Memory in MB; never less than was measured.
    seconds
        Time on one idle core of 2020 or later.
    """

    mb: float
    seconds: float


def mega(value: float) -> float:
    """Return bytes in MB."""
    return value / 1e6

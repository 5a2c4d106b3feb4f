"""What the second implementation knows of a study, from the files of earlier steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepnull_gwas.tables import column_names, read_json, read_metadata, read_table, to_numpy
from deepnull_gwas.traits import trait_of
from deepnull_gwas.verify.relatives import Relatives, read_relatives


class Offsets(Mapping[tuple[str, str, str], np.ndarray]):
    """What the whole-genome regression predicts of each person, by arm, class of chromosomes and chromosome.

    The file has a column for each arm and chromosome that is left out of what is summed up there, and a column ``all``,
    which leaves out nothing and holds wherever no variant took part. Its head names the chromosomes of which some did.

    Parameters
    ----------
    path
        offsets.parquet; a column is read when it is asked for.
    arms
        Arms whose offsets count.
    """

    def __init__(self, path: str | Path, arms: Sequence[str]):
        self.path, self.arms = path, tuple(arms)
        self.columns = frozenset(column_names(path))
        self.took_part = frozenset(read_metadata(path)["chromosomes"])

    def _column(self, key: tuple[str, str, str]) -> str:
        arm, kind, chromosome = key
        return f"{arm}.{chromosome}" if kind == "autosome" and chromosome in self.took_part else f"{arm}.all"

    def __getitem__(self, key: tuple[str, str, str]) -> np.ndarray:
        name = self._column(key)
        return to_numpy(read_table(self.path, columns=[name])[name]).astype(float)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and key[0] in self.arms and self._column(key) in self.columns

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        places = [("autosome", chromosome) for chromosome in sorted(self.took_part)]
        places += [(kind, kind) for kind in ("X", "Y", "MT")]
        return (key for arm in self.arms for place in places if (key := (arm, *place)) in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class Study:
    """One study and what its tests are made of: everything from its files, nothing from the scan.

    Attributes
    ----------
    name, trait, arms
        As in the sheet.
    failed
        Arms that failed in a step before.
    people
        int64[n], which of the cohort's people are analysed, by their row in the genotype files.
    y
        float64[n], the phenotype as analysed.
    covariates
        float64[n, c], encoded, without intercept.
    deepnull_covariate
        float64[n], what the deepnull arm has as a further covariate; None where there is no such arm, or it failed.
    folder
        Folder of its results.
    offsets
        (arm, class of chromosomes, chromosome) -> float64[n], what is known of the phenotype before variants there are
        tested: in its unit (quantitative), on the logit scale (binary). A key that is absent stands for no offset.
    relatives
        Pairs of relatives and their correlations; None where all are taken for unrelated.
    spread
        Arm -> float64[n], standard deviation of each person beyond the null model, where it differs.
    """

    name: str
    trait: str
    arms: tuple[str, ...]
    failed: tuple[str, ...]
    people: np.ndarray
    y: np.ndarray
    covariates: np.ndarray
    deepnull_covariate: np.ndarray | None
    folder: Path
    offsets: Mapping[tuple[str, str, str], np.ndarray] = field(default_factory=dict)
    relatives: Relatives | None = None
    spread: Mapping[str, np.ndarray] = field(default_factory=dict)

    def place(self, kind: str, chromosome: str) -> tuple[str, str]:
        """Return where the same null models hold: a class of chromosomes; where there are offsets, one chromosome."""
        return kind, chromosome if self.offsets else ""

    def offsets_on(self, kind: str, chromosome: str) -> dict[str, np.ndarray]:
        """Return the offset of each arm that has one on a chromosome of a class."""
        keys = {arm: (arm, kind, chromosome) for arm in self.arms}
        return {arm: self.offsets[key] for arm, key in keys.items() if key in self.offsets}

    @property
    def has_cases(self) -> bool:
        """Whether the phenotype is 1 for cases and 0 for controls."""
        return trait_of(self.trait).has_cases


def read_study_files(
    study: str | Path,
    people: str | Path,
    prediction: str | Path | None,
    arms: Sequence[str],
    offsets: str | Path | None = None,
    relatives: str | Path | None = None,
) -> Study:
    """Read a study from the files of the steps before.

    Parameters
    ----------
    study, people
        study.json and samples.parquet.
    prediction
        prediction.parquet, metrics.json next to it.
    arms
        Arms of the study.
    offsets
        offsets.parquet, genome.json next to it, where the model is the whole-genome regression.
    relatives
        relatives.tsv of the cohort; needed with ``offsets``.
    """
    about, table = read_json(study), read_table(people)
    columns = [c for c in table.column_names if c.startswith("cov_")]
    failed, d = set(arms) if about["status"] != "ok" else set(), None
    if "deepnull" in arms and not failed and prediction is not None:
        metrics = Path(prediction).with_name("metrics.json")
        if metrics.exists() and read_json(metrics).get("status", "ok") != "ok":
            failed.add("deepnull")
        else:
            d = to_numpy(read_table(prediction, columns=["deepnull_covariate"])["deepnull_covariate"]).astype(float)
    known: Mapping[tuple[str, str, str], np.ndarray] = {}
    if offsets is not None and (left := [arm for arm in arms if arm not in failed]):
        states = read_json(Path(offsets).with_name("genome.json"))["arms"]
        same = read_table(offsets, columns=["sample_index"])["sample_index"].equals(table["sample_index"])
        failed |= {arm for arm in left if states[arm]["status"] == "failed" or not same}
        known = Offsets(offsets, [arm for arm in left if arm not in failed and states[arm]["used"]])
    related = None
    if offsets is not None and relatives is not None and set(arms) - failed:
        related = read_relatives(relatives, Path(offsets).with_name("genome.json"), to_numpy(table["sample_index"]))
    spread: dict[str, np.ndarray] = {}
    if offsets is not None:
        there = frozenset(column_names(offsets))
        for arm, column in ((arm, f"{arm}.spread") for arm in arms if arm not in failed):
            if column in there:
                spread[arm] = to_numpy(read_table(offsets, columns=[column])[column]).astype(float)
    covariates = [np.empty((len(table), 0)), *(to_numpy(table[c]) for c in columns)]
    return Study(
        about["study"], about["trait"], tuple(arms), tuple(failed), to_numpy(table["sample_index"]),
        to_numpy(table["phenotype"]).astype(float), np.column_stack(covariates).astype(float), d, Path(study).parent,
        known, related, spread,
    )  # fmt: skip

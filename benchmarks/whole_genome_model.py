"""The files that the steps before the whole-genome regression leave, its jobs on them, and the tests after it.

For benchmarks/whole_genome.py and tests: no workflow, but the same functions as its rules call.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from whole_genome_data import Bed, People, without_relatives, write_bed

from deepnull_gwas.association.chunk import associate_chunk
from deepnull_gwas.cohort.families import FAMILIES, RELATIVES
from deepnull_gwas.tables import read_json, read_parquet, write_json, write_parquet, write_tsv
from deepnull_gwas.whole_genome.inputs import CohortPaths, StudyPaths
from deepnull_gwas.whole_genome.offsets import read_offsets
from deepnull_gwas.whole_genome.part import fit_part, refit_part
from deepnull_gwas.whole_genome.study import stack_study

SCHEMA = Path(__file__).resolve().parents[1] / "workflow/schemas/config.schema.yaml"
SEED = 9
#: No variant is left out of the tests
NO_FILTERS = {"min_mac": 0, "min_mac_cases": 0, "min_info": 0, "hwe_p": 0, "missingness_p": 0, "genome_build": "GRCh38"}


@functools.cache
def defaults(section: str) -> Mapping[str, Any]:
    """Return the defaults of a section of the config."""
    keys = yaml.safe_load(SCHEMA.read_text())["properties"][section]["properties"]
    return {key: about["default"] for key, about in keys.items()}


@dataclass(frozen=True)
class Fitted:
    """Out-of-fold predictions of one study and arm from the genotypes.

    Attributes
    ----------
    loco
        Chromosome -> float64[people], from all other chromosomes: in the unit of the phenotype, or on the logit scale.
    whole
        float64[people], from all chromosomes.
    about
        What genome.json says of the arm.
    """

    loco: dict[int, np.ndarray]
    whole: np.ndarray
    about: Mapping[str, Any]

    @property
    def r2(self) -> float:
        """Share of the phenotype's variance, beyond the covariates, that the whole prediction explains out of fold."""
        return float(self.about["r2_genome"])

    def r2_loco(self, left: np.ndarray) -> float:
        """Return the R2 of the LOCO predictions, the mean over chromosomes; ``left``: the phenotype without its
        covariates.
        """
        return float(np.mean([1 - np.var(left - p) / np.var(left) for p in self.loco.values()]))


class Cohort:
    """The files of a cohort and of studies of all its people.

    Parameters
    ----------
    folder
        Where they are written.
    people
        Genotypes, without missing calls, and relatives; of a :class:`Bed` that is on disk already only these.
    settings
        Changes of the sections ``whole_genome`` and ``association``.
    """

    def __init__(self, folder: Path, people: People | Bed, **settings: Any):
        self.folder, self.people, self.settings = Path(folder), people, settings
        self.studies: dict[str, tuple[StudyPaths, int]] = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        bed = people if isinstance(people, Bed) else write_bed(self.folder / "g", people)
        self.bed, n, m = bed, bed.n, len(bed.chromosome)
        write_json(
            {"filesets": [str(bed.prefix)], "samples": n, "variants": m, "genome_build": "GRCh38"},
            self.folder / "genotypes.json",
        )
        variants = pd.DataFrame({"index": np.arange(m), "chromosome": bed.chromosome.astype(str)})
        variants["position"], variants["id"] = bed.position, [f"rs{j}" for j in range(m)]
        variants["effect_allele"], variants["other_allele"] = "A", "C"
        variants["file"], variants["file_row"] = np.zeros(m, dtype=np.int32), np.arange(m)
        variants["chunk"] = np.zeros(m, dtype=np.int32)
        write_parquet(variants, self.folder / "variants.parquet")
        measures = {"index": np.arange(m), **dict(zip(("hom_effect", "het", "hom_other"), bed.counts.T, strict=True))}
        write_parquet(
            pd.DataFrame(measures | {"missing": np.zeros(m, dtype=np.int64), "passed": np.ones(m, dtype=bool)}),
            self.folder / "qc.parquet",
        )
        ids = [f"f{i}" for i in range(n)]
        samples = {"sample_index": np.arange(n), "fid": ids, "iid": ids, "sex": np.ones(n, dtype=np.int8)}
        write_parquet(pd.DataFrame(samples), self.folder / "samples.parquet")
        self._write_relatives(ids)

    def _write_relatives(self, ids: list[str]) -> None:
        n, (first, second) = len(ids), self.people.pairs.T
        family = self.people.family
        number = np.bincount(np.concatenate([first, second]).astype(np.int64), minlength=n)
        table = {"sample_index": np.arange(n), "fid": ids, "iid": ids, "family": family}
        table |= {"family_size": np.bincount(family)[family], "relatives": number, "unrelated": number == 0}
        write_parquet(pd.DataFrame(table | {"duplicate_of": [None] * n}), self.folder / "families.parquet", FAMILIES)
        rows = {"sample_index_1": first, "sample_index_2": second}
        for side, who in ((1, first), (2, second)):
            rows |= {f"fid_{side}": [ids[i] for i in who], f"iid_{side}": [ids[i] for i in who]}
        rows |= {"variants": len(self.bed.chromosome), "het_het": 0.0, "ibs0": 0.0, "kinship": self.people.kinship}
        write_tsv(
            pd.DataFrame(rows | {"relation": self.people.relation})[[c.name for c in RELATIVES]],
            self.folder / "relatives.tsv",
        )

    @property
    def paths(self) -> CohortPaths:
        """The files that the regression reads."""
        names = ("genotypes.json", "variants.parquet", "qc.parquet", "families.parquet", "relatives.tsv")
        return CohortPaths(*(self.folder / name for name in names))

    def add(
        self, name: str, y: np.ndarray, covariates: np.ndarray | None = None, d: np.ndarray | None = None,
        trait: str = "quantitative", components: bool = False,
    ) -> None:  # fmt: skip
        """Add a study of everybody.

        Parameters
        ----------
        name
            Its name.
        y
            float64[n]; of a binary trait 1 for cases, 0 for controls.
        covariates
            float64[n, c], without intercept.
        d
            float64[n], DeepNull's covariate; with it the study has both arms.
        trait
            ``quantitative`` or ``binary``.
        components
            Whether the covariates are principal components of ancestry.
        """
        n, folder = len(y), self.folder / name
        frame = pd.DataFrame({"sample_index": np.arange(n), "phenotype": np.asarray(y, dtype=np.float64)})
        for j in range(0 if covariates is None else covariates.shape[1]):
            frame[f"cov_{'PC' if components else 'c'}{j + 1}"] = covariates[:, j]
        write_parquet(frame, folder / "samples.parquet")
        state = {"study": name, "cohort": "c", "trait": trait, "phenotype": name, "n": n}
        write_json(state | {"status": "ok", "stage": "", "reason": ""}, folder / "study.json")
        prediction = None
        if d is not None:
            prediction = folder / "prediction.parquet"
            write_parquet(pd.DataFrame({"sample_index": np.arange(n), "deepnull_covariate": d}), prediction)
        arms = ("baseline",) if d is None else ("baseline", "deepnull")
        files = StudyPaths(folder / "study.json", folder / "samples.parquet", prediction, arms)
        self.studies[name] = (files, 0 if covariates is None else covariates.shape[1])

    def fit(self, parts: int = 1) -> None:
        """Run the jobs of the regression for all studies, as one batch."""
        studies = [files for files, _ in self.studies.values()]
        settings = {**defaults("whole_genome"), "seed": SEED, "genome_build": "GRCh38"}
        settings |= {key: value for key, value in self.settings.items() if key in settings}
        first = [self.folder / f"{part}.first" for part in range(parts)]
        for part, out in enumerate(first):
            fit_part(self.paths, studies, part, parts, settings, out)
        made = first
        if settings["passes"] == 2:
            made = [self.folder / f"{part}.second" for part in range(parts)]
            for part, out in enumerate(made):
                refit_part(self.paths, studies, first, part, parts, settings, out)
        for name, (files, _) in self.studies.items():
            genome = self.folder / name / "genome"
            stack_study(
                files, made, self.folder / "relatives.tsv",
                genome / "offsets.parquet", genome / "genome.json",
            )  # fmt: skip
        for path in {*first, *made}:
            path.unlink()

    def fitted(self, name: str, arm: str = "baseline") -> Fitted:
        """Return what was fitted for a study and arm."""
        genome = self.folder / name / "genome"
        offsets = read_offsets(genome / "offsets.parquet")
        none, about = np.zeros(self.bed.n), read_json(genome / "genome.json")["arms"][arm]
        chromosomes = [int(c) for c in np.unique(self.bed.chromosome)]
        loco = {c: offsets.get((arm, "autosome", str(c)), none) for c in chromosomes}
        return Fitted(loco, offsets.get((arm, "X", "X"), none), about)

    def test(self, name: str, whole_genome: bool = True) -> dict[str, np.ndarray]:
        """Test all variants of a study: arm -> float64[variants], squared ratio of estimate and standard error.

        Parameters
        ----------
        name
            The study.
        whole_genome
            Whether with the offsets and the correlations of relatives, or by plain regression.
        """
        files, _ = self.studies[name]
        model = (self.folder / name / "genome/offsets.parquet", self.folder / "relatives.tsv")
        given = (files.study, files.samples, files.prediction, files.arms, *(model if whole_genome else (None, None)))
        section = {**defaults("association"), **NO_FILTERS}
        section |= {key: value for key, value in self.settings.items() if key in section}
        tables = {"variants": self.folder / "variants.parquet", "samples": self.folder / "samples.parquet"}
        tables |= {"qc_variants": None}
        out = self.folder / name / "association.parquet"
        associate_chunk(self.folder / "genotypes.json", tables, [given], 0, section, out)
        table = read_parquet(out)
        return {arm: (table[f"{name}.{arm}.beta"] / table[f"{name}.{arm}.se"]).to_numpy() ** 2 for arm in files.arms}


def left_of(y: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """Return what intercept and covariates leave of a phenotype."""
    q = np.linalg.qr(np.column_stack([np.ones(len(y)), covariates]))[0]
    return y - q @ (q.T @ y)


def read_autosomes(prefix: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read the autosomes of a PLINK 1 fileset: genotypes (int8, a missing call the rounded mean), chromosomes and
    positions.
    """
    from deepnull_gwas.genotypes.bed import BedGenotypes
    from deepnull_gwas.genotypes.kernels import decode

    table = [line.split() for line in Path(f"{prefix}.bim").read_text().splitlines()]
    rows = np.flatnonzero([row[0].isdigit() and 1 <= int(row[0]) <= 22 for row in table])
    fileset = BedGenotypes([prefix])
    g = decode(fileset.calls_between(0, fileset.n_variants), fileset.n_samples, missing=-1)[rows].astype(np.float32)
    mean = np.where(g < 0, 0, g).sum(axis=1) / np.maximum((g >= 0).sum(axis=1), 1)
    genotypes = np.where(g < 0, np.rint(mean)[:, None], g).astype(np.int8)
    return genotypes, np.array([int(table[i][0]) for i in rows]), np.array([int(table[i][3]) for i in rows])


def with_relatives(
    genotypes: np.ndarray, chromosome: np.ndarray, position: np.ndarray, folder: Path, pcs: int = 10
) -> tuple[People, np.ndarray]:
    """Return people with the relatives that the library finds among them, and their principal components."""
    from deepnull_gwas.cohort.adjust import LEAST_LOWERED
    from deepnull_gwas.cohort.families import family_clusters, unrelated_set
    from deepnull_gwas.cohort.kinship import classify, kinship_pairs, look_at_strangers
    from deepnull_gwas.cohort.pca import principal_components
    from deepnull_gwas.genotypes.bed import BedGenotypes

    n = genotypes.shape[1]
    write_bed(folder / "g", without_relatives(genotypes, chromosome))
    fileset = BedGenotypes([folder / "g"])
    p = genotypes.mean(axis=1) / 2
    common = np.flatnonzero(np.minimum(p, 1 - p) >= 0.01)
    pairs = kinship_pairs(fileset, common, np.arange(n))
    p = p[common]
    pairs["relation"] = classify(pairs["kinship"], pairs["ibs0"], float((2 * p**2 * (1 - p) ** 2).mean()))
    unrelated = unrelated_set(n, pairs["sample_index_1"], pairs["sample_index_2"])
    # one variant in 100,000 base pairs: a light pruning by distance
    places = np.column_stack([chromosome[common], position[common] // 100_000])
    thinned = common[np.sort(np.unique(places, axis=0, return_index=True)[1])]
    components = principal_components(fileset, thinned, unrelated, pcs)["pcs"]
    if look_at_strangers(fileset, common, np.arange(n)).lowered >= LEAST_LOWERED:
        pairs = _beyond_ancestry(fileset, thinned, components, unrelated)
    first, second = pairs["sample_index_1"].to_numpy(), pairs["sample_index_2"].to_numpy()
    related = np.column_stack([first, second]), pairs["relation"].to_numpy(), pairs["kinship"].to_numpy()
    return People(genotypes, chromosome, family_clusters(n, first, second), *related), components


def _beyond_ancestry(fileset: Any, index: np.ndarray, pcs: np.ndarray, unrelated: np.ndarray) -> pd.DataFrame:
    """Return the relatives that the rule ``adjust_kinship`` finds, with their kinship beyond ancestry."""
    from deepnull_gwas.cohort.adjusted_kinship import (
        fit_ancestry,
        relatives_beyond_ancestry,
        spread_beyond_ancestry,
    )
    from deepnull_gwas.cohort.kinship import THIRD
    from deepnull_gwas.cohort.relatives import raised_threshold

    n = len(pcs)
    ancestry = fit_ancestry(fileset, index, np.arange(n), pcs, unrelated)
    threshold = raised_threshold(THIRD, spread_beyond_ancestry(fileset, index, ancestry), n, len(index))
    pairs = relatives_beyond_ancestry(fileset, index, ancestry, threshold)
    return pairs.assign(kinship=pairs["kinship_adjusted"])


def cross_fitted(covariates: np.ndarray, y: np.ndarray, seed: int = 7) -> np.ndarray:
    """Return what the library's splines predict, out of fold, beyond the linear model."""
    from deepnull_gwas.deepnull.crossfit import Setup, crossfit_folds
    from deepnull_gwas.deepnull.fitting import Choice
    from deepnull_gwas.deepnull.recipe import Recipe

    names = [f"c{j}" for j in range(covariates.shape[1])]
    fold = np.random.default_rng(seed).integers(0, 5, len(y)).astype(np.int32)
    setup = Setup(names, "quantitative", Recipe(), Choice(model="splines", compare=False))
    out = np.empty(len(y))
    for result in crossfit_folds(covariates, y, fold, [seed + f for f in range(5)], setup):
        out[result.rows] = result.covariate
    return out

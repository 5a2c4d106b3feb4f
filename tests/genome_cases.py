"""Small cohorts on disk, as the whole-genome regression reads them, and a dense reference of its arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepnull_gwas.cohort.families import FAMILIES, RELATIVES, family_clusters
from deepnull_gwas.genotypes.bed import write_bed
from deepnull_gwas.tables import write_json, write_parquet, write_tsv
from deepnull_gwas.whole_genome.inputs import CohortPaths, StudyPaths
from deepnull_gwas.whole_genome.part import fit_part, refit_part
from deepnull_gwas.whole_genome.study import stack_study

SETTINGS: dict[str, Any] = {
    "block_size": 25, "folds": 5, "passes": 2, "maf": 0.01, "call_rate": 0.9, "maximum_variants": 500_000, "seed": 1,
}  # fmt: skip


def genotypes(people: int, variants: int, seed: int, missing: float = 0.0) -> np.ndarray:
    """Return copies of A1 with some linkage disequilibrium between neighbours: int8, variants x people, -1 missing."""
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.1, 0.9, variants)
    out = np.zeros((variants, people), dtype=np.int8)
    for _ in range(2):
        latent = rng.normal(size=(variants, people))
        for v in range(1, variants):
            latent[v] = 0.5 * latent[v - 1] + np.sqrt(0.75) * latent[v]
        out += latent < np.quantile(latent, frequency, axis=1).diagonal()[:, None]
    out[rng.random(out.shape) < missing] = -1
    return out


@dataclass
class Cohort:
    """A cohort on disk.

    Attributes
    ----------
    folder
        Where.
    copies
        int8, variants x people, -1 missing.
    chromosome
        str, one per variant.
    pairs
        Related people and their kinship.
    names
        IIDs; by default by number.
    """

    folder: Path
    copies: np.ndarray
    chromosome: np.ndarray
    pairs: Sequence[tuple[int, int, float]] = ()
    names: Sequence[str] | None = None
    paths: CohortPaths = field(init=False)

    def __post_init__(self) -> None:
        folder, (variants, people) = self.folder, self.copies.shape
        folder.mkdir(parents=True, exist_ok=True)
        names = [f"i{i}" for i in range(people)] if self.names is None else list(self.names)
        position = np.arange(variants) * 1000 + 1
        bim = pd.DataFrame({"c": self.chromosome, "i": position, "g": 0, "p": position, "a": "A", "b": "G"})
        write_bed(
            folder / "g", self.copies, bim, pd.DataFrame({"f": names, "i": names, "p": 0, "m": 0, "s": 1, "y": 0})
        )
        write_json({"filesets": [str(folder / "g")]}, folder / "genotypes.json")
        index = np.arange(variants)
        table = {"index": index, "chromosome": self.chromosome.astype(object), "position": position}
        write_parquet(pd.DataFrame(table), folder / "variants.parquet")
        counts = {n: (self.copies == c).sum(axis=1) for n, c in zip(("hom_effect", "het", "hom_other"), (2, 1, 0))}
        counts["missing"] = (self.copies < 0).sum(axis=1)
        write_parquet(pd.DataFrame({"index": index, **counts, "passed": True}), folder / "qc_variants.parquet")
        first, second = (np.array([p[side] for p in self.pairs], dtype=np.int64) for side in (0, 1))
        family = family_clusters(people, first, second)
        families = pd.DataFrame(
            {
                "sample_index": np.arange(people), "fid": names, "iid": names, "family": family,
                "family_size": np.bincount(family)[family], "relatives": 0, "unrelated": True, "duplicate_of": "",
            }
        )  # fmt: skip
        write_parquet(families, folder / "families.parquet", FAMILIES)
        relatives = pd.DataFrame({c.name: np.zeros(len(first)) for c in RELATIVES})
        relatives = relatives.assign(
            sample_index_1=first, sample_index_2=second, kinship=[p[2] for p in self.pairs], relation="sibling"
        )
        write_tsv(relatives, folder / "relatives.tsv")
        files = ("genotypes.json", "variants.parquet", "qc_variants.parquet", "families.parquet", "relatives.tsv")
        self.paths = CohortPaths(*(folder / name for name in files))

    def study(
        self,
        name: str,
        y: np.ndarray,
        covariates: np.ndarray | None = None,
        index: np.ndarray | None = None,
        deepnull: np.ndarray | None = None,
        trait: str = "quantitative",
        **changes: Any,
    ) -> StudyPaths:
        """Write a study; all arrays are of the whole cohort, of which ``index`` are analysed."""
        folder = self.folder / name
        index = np.arange(self.copies.shape[1]) if index is None else index
        covariates = np.empty((len(y), 0)) if covariates is None else covariates
        columns = {f"cov_{j}": covariates[index, j] for j in range(covariates.shape[1])}
        people = pd.DataFrame({"sample_index": index, "phenotype": y[index].astype(np.float64), **columns})
        write_parquet(people, folder / "samples.parquet")
        write_json(
            {"study": name, "trait": trait, "status": "ok", "stage": "", "reason": "", **changes}, folder / "study.json"
        )
        arms, prediction = ("baseline",), None
        if deepnull is not None:
            arms, prediction = ("baseline", "deepnull"), folder / "prediction.parquet"
            write_parquet(pd.DataFrame({"sample_index": index, "deepnull_covariate": deepnull[index]}), prediction)
        return StudyPaths(folder / "study.json", folder / "samples.parquet", prediction, arms)

    def run(
        self, studies: Sequence[StudyPaths], out: str, parts: int = 1, threads: int = 1, **settings: Any
    ) -> list[Path]:
        """Run all jobs; returns the folders with offsets.parquet and genome.json of the studies."""
        chosen = SETTINGS | settings
        files = {kind: [self.folder / out / f"{part}.{kind}" for part in range(parts)] for kind in ("first", "second")}
        for part, path in enumerate(files["first"]):
            fit_part(self.paths, studies, part, parts, chosen, path, threads)
        last = files["first"]
        if chosen["passes"] == 2:
            last = files["second"]
            for part, path in enumerate(last):
                refit_part(self.paths, studies, files["first"], part, parts, chosen, path, threads)
        folders = []
        for study in studies:
            folders.append(self.folder / out / Path(study.study).parent.name)
            outputs = (folders[-1] / name for name in ("offsets.parquet", "genome.json"))
            stack_study(study, last, self.paths.relatives, *outputs)
        return folders


# --- the reference: dense float64, person by person, written from the method's description alone ---


def spike_and_slab_by_people(
    x: np.ndarray, y: np.ndarray, share: float, total: int, noise: float = 0.8, start: np.ndarray | None = None
) -> np.ndarray:
    """Return effects by coordinate ascent on the people themselves: x float64[n, k] of variance 1, y what is left."""
    n, k = x.shape
    slab = 0.4 / (total * share)
    effects = np.zeros(k) if start is None else start.copy()
    left = y.copy()
    for _ in range(15):
        moved = False
        for j in range(k):
            projection = float(x[:, j] @ left) + n * effects[j]
            variance = 1.0 / (n / noise + 1.0 / slab)
            mean = variance * projection / noise
            odds = share / (1 - share) * np.sqrt(variance / slab) * np.exp(mean**2 / (2 * variance))
            new = mean * odds / (1 + odds)
            if abs(new - effects[j]) > 1e-6:
                left -= x[:, j] * (new - effects[j])
                effects[j], moved = new, True
        if not moved:
            break
    return effects


@dataclass
class Reference:
    """Levels 0 and 1 of one phenotype, by dense matrices.

    Attributes
    ----------
    copies
        float64[n, m], filled.
    blocks
        Numbers of the variants of each block, and its chromosome.
    y, shared, covariates, fold
        The phenotype; the covariates that genotypes are regressed on, and all those of the arm, both with an intercept;
        the folds.
    """

    copies: np.ndarray
    blocks: list[tuple[np.ndarray, str]]
    y: np.ndarray
    shared: np.ndarray
    covariates: np.ndarray
    fold: np.ndarray
    passes: int = 2

    def residuals(self, training: np.ndarray) -> np.ndarray:
        """Return what the covariates leave of the phenotype in a training set."""
        z, y = self.covariates[training], self.y[training]
        return y - z @ np.linalg.lstsq(z, y, rcond=None)[0]

    def standardised(self, columns: np.ndarray, training: np.ndarray) -> np.ndarray:
        """Return genotypes of everybody without the covariates, of variance 1 in the training set; 0 if constant."""
        c = self.shared
        on_covariates = np.linalg.lstsq(c[training], columns[training], rcond=None)[0]
        left = columns - c @ on_covariates
        squares = (left[training] ** 2).mean(axis=0)
        used = squares > 1e-6 * (columns[training] ** 2).mean(axis=0)
        return np.where(used, left / np.sqrt(np.where(used, squares, 1.0)), 0.0)

    def predictors(self) -> tuple[np.ndarray, list[str]]:
        """Return predictors, float64[n, chromosomes, kinds], and the chromosomes."""
        total = sum(len(block) for block, _ in self.blocks)
        ridges = (0.25, 0.75) if self.passes == 2 else (0.01, 0.25, 0.5, 0.75, 0.99)
        names = list(dict.fromkeys(chromosome for _, chromosome in self.blocks))
        place = [names.index(chromosome) for _, chromosome in self.blocks]
        out = np.zeros((len(self.y), len(names), len(ridges) + 2))
        for f in np.unique(self.fold):
            training, own = self.fold != f, self.fold == f
            y = self.residuals(training)
            sd = np.sqrt((y**2).mean())
            y = y / sd
            x = [self.standardised(self.copies[:, block], training) for block, _ in self.blocks]
            for b, block in enumerate(x):
                for j, h in enumerate(ridges):
                    penalty = total * (1 - h) / h * np.eye(block.shape[1])
                    inside = block[training]
                    effects = np.linalg.solve(inside.T @ inside + penalty, inside.T @ y)
                    out[own, place[b], j] += sd * block[own] @ effects
            shares = (0.01, 0.1)
            first = [[spike_and_slab_by_people(block[training], y, share, total) for block in x] for share in shares]
            mean = [(e + other) / 2 for e, other in zip(*first, strict=True)]
            left = y - sum(block[training] @ e for block, e in zip(x, mean, strict=True))
            noise = np.clip((left**2).mean(), 0.3, 1.0)
            for j, share in enumerate(shares):
                effects = first[j]
                if self.passes == 2:
                    effects = [
                        spike_and_slab_by_people(block[training], left, share, total, noise, e)
                        for block, e in zip(x, mean, strict=True)
                    ]
                for b, (block, e) in enumerate(zip(x, effects, strict=True)):
                    out[own, place[b], len(ridges) + j] += sd * block[own] @ e
        return out, names

    def stacked(self) -> tuple[np.ndarray, dict[str, np.ndarray], float]:
        """Return the prediction from all chromosomes, from all but each, and its out-of-fold R2."""
        sums, names = self.predictors()
        n, m, z = len(self.y), sums.shape[2], self.covariates
        best = (np.inf, None, 0.0)
        for h in (0.01, 0.25, 0.5, 0.75, 0.99):
            each, loss, null = np.zeros((len(names), n)), 0.0, 0.0
            for f in np.unique(self.fold):
                training, own = self.fold != f, self.fold == f
                flat = sums.reshape(n, -1)
                parts = flat - z @ np.linalg.lstsq(z[training], flat[training], rcond=None)[0]
                parts = parts.reshape(sums.shape)
                scale = np.sqrt((parts.sum(axis=1)[training] ** 2).mean(axis=0))
                parts = parts / scale
                x = parts.sum(axis=1)
                y = self.y - z @ np.linalg.lstsq(z[training], self.y[training], rcond=None)[0]
                penalty = m * (1 - h) / h * np.eye(m)
                effects = np.linalg.solve(x[training].T @ x[training] + penalty, x[training].T @ y[training])
                each[:, own] = (parts[own] @ effects).T
                loss += float(((y[own] - x[own] @ effects) ** 2).sum())
                null += float((y[own] ** 2).sum())
            if loss < best[0]:
                best = loss, each, 1 - loss / null
        whole = best[1].sum(axis=0)
        return whole, {c: whole - values for c, values in zip(names, best[1], strict=True)}, best[2]

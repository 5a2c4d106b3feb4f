"""Small cohorts and studies on disk for the tests of the association, and the reference: least squares in float64,
person by person.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from deepnull_gwas.association.chunk import associate_chunk
from deepnull_gwas.association.settings import Settings
from deepnull_gwas.genotypes.bed import write_bed
from deepnull_gwas.genotypes.chromosomes import normalise
from deepnull_gwas.tables import read_metadata, read_parquet, write_json, write_parquet

SCHEMA = Path(__file__).resolve().parents[1] / "workflow/schemas/config.schema.yaml"
#: Every variant is tested by maximum likelihood, whatever its calls.
NO_FILTERS = {
    "min_mac": 0, "min_info": 0.0, "hwe_p": 0.0, "missingness_p": 0.0, "refine_below": 1.0, "firth": "never",
    "firth_mac": 0,
    "variants_per_block": 64,
}  # fmt: skip


def section(**changes) -> dict:
    """Return a complete section ``association``: the schema's defaults, and changes."""
    keys = yaml.safe_load(SCHEMA.read_text())["properties"]["association"]["properties"]
    assert set(changes) <= {*keys, "genome_build"}, set(changes) - set(keys)
    return {key: about["default"] for key, about in keys.items()} | {"genome_build": "GRCh37"} | changes


def settings_of(**changes) -> Settings:
    """Return the settings of the tests: nothing is filtered, but for changes."""
    return Settings.of(section(**NO_FILTERS | changes))


def pack(g: np.ndarray) -> np.ndarray:
    """Pack int8 genotypes (variants x people, -1 missing) as a .bed does."""
    code = np.array([3, 2, 0, 1], dtype=np.uint8)[g]
    lanes = np.zeros((len(g), -(-g.shape[1] // 4) * 4), dtype=np.uint8)
    lanes[:, : g.shape[1]] = code
    lanes = lanes.reshape(len(g), -1, 4)
    return lanes[..., 0] | lanes[..., 1] << 2 | lanes[..., 2] << 4 | lanes[..., 3] << 6


def same(a: dict, b: dict, studies, order=slice(None), flip: float = 1.0, tolerance: float = 0.0) -> None:
    """Assert that studies have the same results; estimates within a tolerance of standard errors."""
    for s in studies:
        for arm in s.arms:
            key = f"{s.name}.{arm}"
            assert (a[f"{key}.reason"][order] == b[f"{key}.reason"]).all()
            assert (a[f"{key}.method"][order] == b[f"{key}.method"]).all()
            beta, se, p = (a[f"{key}.{c}"][order] for c in ("beta", "se", "neg_log10_p"))
            other, other_se, other_p = (b[f"{key}.{c}"] for c in ("beta", "se", "neg_log10_p"))
            assert np.nanmax(np.abs(beta - flip * other) / se, initial=0) <= tolerance
            np.testing.assert_allclose(se, other_se, rtol=tolerance)
            np.testing.assert_allclose(p, other_p, rtol=20 * tolerance, atol=20 * tolerance)


class Cohort:
    """A cohort's folder as the steps before the association leave it."""

    def __init__(self, folder: Path, prefix: str | Path, sex: np.ndarray, chunks: int = 1):
        self.folder = Path(folder)
        self.prefix = str(prefix)
        self.sex = np.asarray(sex, dtype=np.int8)
        bim = pd.read_csv(f"{prefix}.bim", sep=r"\s+", header=None, dtype={0: str, 1: str, 4: str, 5: str})
        chromosome = bim[0].map(normalise)
        m = len(bim)
        self.variants = pd.DataFrame(
            {
                "index": np.arange(m),
                "chromosome": chromosome,
                "position": bim[3].to_numpy(np.int64),
                "id": bim[1],
                "effect_allele": bim[4],
                "other_allele": bim[5],
                "file": np.zeros(m, np.int32),
                "file_row": np.arange(m),
                "chunk": (np.arange(m) * chunks // max(m, 1)).astype(np.int32),
            }
        )
        write_parquet(self.variants, self.folder / "variants.parquet")
        write_json({"filesets": [self.prefix]}, self.folder / "genotypes.json")
        n = len(self.sex)
        write_parquet(pd.DataFrame({"sample_index": np.arange(n), "sex": self.sex}), self.folder / "samples.parquet")

    def study(
        self,
        name: str,
        y: np.ndarray,
        covariates: dict[str, np.ndarray] | None = None,
        prediction: np.ndarray | None = None,
        trait: str = "quantitative",
        arms: tuple[str, ...] | None = None,
        status: str = "ok",
    ) -> tuple:
        """Write a study (values over the whole .fam, NaN where not analysed) and give what `associate_chunk` wants."""
        folder = self.folder / name
        frame = pd.DataFrame({"sample_index": np.arange(len(y)), "phenotype": np.asarray(y, dtype=float)})
        for key, values in (covariates or {}).items():
            frame[f"cov_{key}"] = np.asarray(values, dtype=float)
        frame = frame.dropna().reset_index(drop=True)
        if status != "ok":
            frame = frame.iloc[:0, :2]
        write_parquet(frame, folder / "samples.parquet")
        state = {
            "study": name,
            "trait": trait,
            "status": status,
            "stage": "" if status == "ok" else "assemble_study",
            "reason": "" if status == "ok" else "why",
            "n": len(frame),
        }
        write_json(state, folder / "study.json")
        path = None
        if prediction is not None:
            path = folder / "deepnull" / "prediction.parquet"
            d = np.asarray(prediction, dtype=float)[frame["sample_index"]]
            write_parquet(pd.DataFrame({"sample_index": frame["sample_index"], "deepnull_covariate": d}), path)
        arms = arms or (("baseline",) if prediction is None else ("baseline", "deepnull"))
        return (folder / "study.json", folder / "samples.parquet", path, arms)

    def run(self, studies: list, chunk: int = 0, threads: int = 1, qc: Path | None = None, **settings) -> pd.DataFrame:
        """Scan a chunk and read the result; its metadata are under `.attrs`."""
        out = self.folder / "associations" / f"{chunk}.parquet"
        associate_chunk(
            self.folder / "genotypes.json",
            {
                "variants": self.folder / "variants.parquet",
                "samples": self.folder / "samples.parquet",
                "qc_variants": qc,
            },
            studies,
            chunk,
            section(**NO_FILTERS | settings),
            out,
            threads,
        )
        frame = read_parquet(out)
        frame.attrs = read_metadata(out)
        return frame


def make_genotypes(rng, n: int, m: int, missing: float = 0.0, low: float = 0.05) -> np.ndarray:
    """Draw int8 genotypes, variants x people, -1 missing; the effect allele may be the common one."""
    frequency = rng.uniform(low, 1 - low, size=m)
    g = rng.binomial(2, frequency[:, None], size=(m, n)).astype(np.int8)
    g[rng.random((m, n)) < missing] = -1
    return g


def make_cohort(
    folder: Path, g: np.ndarray, sex: np.ndarray | None = None, chromosome: str | list = "1", chunks: int = 1
) -> Cohort:
    """Write genotypes as a fileset with positions 1000, 2000, ... and index it."""
    m, n = g.shape
    sex = np.zeros(n, dtype=int) if sex is None else sex
    chromosome = [chromosome] * m if isinstance(chromosome, str) else chromosome
    position = 10_000_000 + 1000 * np.arange(m)
    bim = pd.DataFrame(
        {"c": chromosome, "i": [f"v{i}" for i in range(m)], "cm": 0, "p": position, "a1": "A", "a2": "G"}
    )
    iid = [f"p{i}" for i in range(n)]
    fam = pd.DataFrame({"f": iid, "i": iid, "p": 0, "m": 0, "s": sex, "y": -9})
    folder.mkdir(parents=True, exist_ok=True)
    write_bed(folder / "g", g, bim, fam)
    return Cohort(folder, folder / "g", sex, chunks)


def impute(g: np.ndarray) -> np.ndarray:
    """Return float64 genotypes of one variant with missing calls at the mean."""
    g = g.astype(float)
    g[g < 0] = g[g >= 0].mean()
    return g


def least_squares(g: np.ndarray, y: np.ndarray, covariates: np.ndarray) -> tuple[float, float, float]:
    """The reference: y on [1, covariates, g] by numpy's least squares in float64: beta, se, residual degrees of
    freedom.
    """
    x = np.column_stack([np.ones(len(y)), covariates, g])
    q, r = np.linalg.qr(x)
    coefficients = np.linalg.solve(r, q.T @ y)
    residual = y - x @ coefficients
    df = len(y) - x.shape[1]
    inverse = np.linalg.inv(r)
    se = np.sqrt(residual @ residual / df * (inverse[-1] ** 2).sum())
    return coefficients[-1], se, df

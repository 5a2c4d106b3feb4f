"""Small cohorts for the tests of config, ingestion and studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deepnull_gwas.cohort.index import index_cohort
from deepnull_gwas.cohort.preflight import preflight_cohort
from deepnull_gwas.config import study_of
from deepnull_gwas.genotypes.bed import write_bed


@dataclass
class SmallCohort:
    """Forty people, twelve variants, and a sample table in which everything is right."""

    folder: Path
    people: int = 40
    variants: int = 12
    table: pd.DataFrame = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(1)
        self.table = pd.DataFrame(
            {
                "FID": self.fids,
                "IID": self.iids,
                "sex": np.tile([1, 2], self.people // 2),
                "age": rng.integers(40, 70, self.people),
                "site": np.tile(["A", "B", "B", "C"], self.people // 4),
                "height": rng.normal(170, 10, self.people).round(2),
                "status": np.tile([0, 1, 1, 0, 1], self.people // 5),
            }
        )

    @property
    def fids(self) -> list[str]:
        return [f"F{i:03d}" for i in range(self.people)]

    @property
    def iids(self) -> list[str]:
        return [f"{i:04d}" for i in range(self.people)]  # leading zeros must survive

    @property
    def prefix(self) -> str:
        return str(self.folder / "genotypes")

    @property
    def samples(self) -> Path:
        return self.folder / "samples.tsv"

    @property
    def out(self) -> Path:
        return self.folder / "results"

    def write_fileset(
        self, prefix: str | None = None, chromosome: str = "1", variants: int | None = None
    ) -> np.ndarray:
        """Write a fileset; returns its dosages of A1."""
        m = self.variants if variants is None else variants
        dosages = np.random.default_rng(int(m)).integers(-1, 3, (m, self.people)).astype(np.int8)
        bim = pd.DataFrame(
            {"c": chromosome, "id": [f"rs{i}" for i in range(m)], "cm": 0, "p": np.arange(m) + 1, "a1": "A", "a2": "G"}
        )
        fam = pd.DataFrame(
            {"f": self.fids, "i": self.iids, "p": 0, "m": 0, "s": np.tile([1, 2], self.people // 2), "y": -9}
        )
        write_bed(prefix or self.prefix, dosages, bim, fam)
        return dosages

    def write_table(self, table: pd.DataFrame | None = None, **options) -> Path:
        """Write the sample table as TSV."""
        (self.table if table is None else table).to_csv(self.samples, sep="\t", index=False, **options)
        return self.samples

    def settings(self, **changes) -> dict:
        """Return settings for ingestion."""
        defaults = {"cohort": "c", "genome_build": "GRCh38", "sample_id": "IID", "family_id": None, "sex": None}
        return defaults | {"missing_values": ["", "NA"]} | changes

    def index(
        self, prefixes: list[str] | None = None, chunks: int = 3, reference: Sequence[str] = (), **changes
    ) -> pd.DataFrame:
        """Index the cohort; returns samples.parquet."""
        outputs = [self.out / name for name in ("genotypes.json", "variants.parquet", "samples.parquet")]
        index_cohort(prefixes or [self.prefix], self.samples, self.settings(**changes), chunks, *outputs, reference)
        return pd.read_parquet(self.out / "samples.parquet")

    def study(self, **changes) -> dict:
        """Return a study's settings."""
        row = {"study": "s", "cohort": "c", "phenotype": "height", "trait": "quantitative", "covariates": ["age"]}
        row |= {"study" if key == "name" else key: value for key, value in changes.items()}
        own = {"deepnull_only": row.pop("deepnull_only")} if "deepnull_only" in row else {}
        return replace(study_of(row, pcs=0), **own).settings()

    def preflight(self, *studies: dict) -> pd.DataFrame:
        """Run the preflight on an indexed cohort."""
        return preflight_cohort(
            self.out / "samples.parquet", list(studies) or [self.study()], self.out / "preflight.tsv"
        )

    def written(self) -> list[str]:
        """Name what the steps have written."""
        return sorted(p.name for p in self.out.rglob("*")) if self.out.exists() else []


@pytest.fixture
def small(tmp_path) -> SmallCohort:
    """Return a small cohort whose files are written and right."""
    cohort = SmallCohort(tmp_path)
    cohort.write_fileset()
    cohort.write_table()
    return cohort

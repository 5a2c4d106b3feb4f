"""One data set of dosages in every format, for the tests that compare what comes of them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from association_cases import Cohort
from bgen_files import BgenFile, Variant
from deepnull_gwas.genotypes.bgen import open_bgen
from deepnull_gwas.genotypes.pgen import open_pgen
from deepnull_gwas.genotypes.vcf import import_vcf
from deepnull_gwas.tables import write_json, write_parquet

#: Dosages are multiples of this, which 8 bits hold: a larger difference between formats is a fault.
GRID = 255


def plink2(*arguments: object) -> None:
    """Run PLINK 2; fail with what it says."""
    done = subprocess.run(["plink2", *map(str, arguments), "--threads", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass
class Haplotypes:
    """Dosages of people's two haplotypes.

    Attributes
    ----------
    values
        int64, variants x people x 2: of the ALT allele, in units of ``1 / GRID``; of a haploid person the first counts.
    missing
        bool, variants x people.
    variants
        chromosome, position, id, effect_allele (ALT), other_allele (REF).
    sex
        int8, 1 male, 2 female.
    """

    values: np.ndarray
    missing: np.ndarray
    variants: pd.DataFrame
    sex: np.ndarray

    @property
    def haploid(self) -> np.ndarray:
        """Return whose genotypes are of one copy: bool, variants x people."""
        return (self.variants["chromosome"] == "X").to_numpy()[:, None] & (self.sex == 1)

    def dosages(self) -> np.ndarray:
        """Return the dosages on the scale of two copies, NaN where missing: variants x people."""
        both = np.where(self.haploid, 2 * self.values[..., 0], self.values.sum(axis=2)) / GRID
        return np.where(self.missing, np.nan, both)

    def write_vcf(self, path: Path) -> None:
        """Write a VCF with GT:HDS."""
        names = [f"p{i}" for i in range(len(self.sex))]
        head = (
            "##fileformat=VCFv4.2\n##contig=<ID=1>\n##contig=<ID=X>\n"
            '##FORMAT=<ID=GT,Number=1,Type=String,Description="">\n'
            '##FORMAT=<ID=HDS,Number=.,Type=Float,Description="">\n'
        )
        columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *names]
        rows = [head + "\t".join(columns)]
        haploid = self.haploid
        for v, row in enumerate(self.variants.itertuples()):
            cells = []
            for i, (a, b) in enumerate(self.values[v]):
                x, y = int(2 * a > GRID), int(2 * b > GRID)
                if haploid[v, i]:
                    cells.append(".:." if self.missing[v, i] else f"{x}:{a / GRID:.7f}")
                else:
                    cells.append(".|.:." if self.missing[v, i] else f"{x}|{y}:{a / GRID:.7f},{b / GRID:.7f}")
            front = [row.chromosome, str(row.position), row.id, row.other_allele, row.effect_allele]
            rows.append("\t".join([*front, ".", ".", ".", "GT:HDS", *cells]))
        path.write_text("\n".join(rows) + "\n")


def blur(rng: np.random.Generator, truth: np.ndarray, share: float = 0.4) -> np.ndarray:
    """Return dosages of haplotypes in units of ``1 / GRID``, of which a share is uncertain."""
    away = rng.integers(0, 90, truth.shape) * (rng.random(truth.shape) < share)
    return np.where(truth == 1, GRID - away, away)


def simulate(rng: np.random.Generator, n: int, autosomal: int, on_x: int, missing: float = 0.02) -> Haplotypes:
    """Return haplotypes of men and women, on chromosome 1 and on X beyond the pseudo-autosomal regions."""
    m = autosomal + on_x
    truth = (rng.random((m, n, 2)) < rng.uniform(0.05, 0.95, m)[:, None, None]).astype(np.int64)
    sex = (1 + np.arange(n) % 2).astype(np.int8)
    return Haplotypes(blur(rng, truth), rng.random((m, n)) < missing, table_of(autosomal, on_x), sex)


def table_of(autosomal: int, on_x: int) -> pd.DataFrame:
    """Return a table of variants with alleles of several kinds."""
    m = autosomal + on_x
    effect, other = ["A", "C", "T", "GA"], ["G", "G", "C", "G"]
    return pd.DataFrame(
        {
            "chromosome": ["1"] * autosomal + ["X"] * on_x,
            "position": 10_000_000 + 1000 * np.arange(m),
            "id": [f"rs{i}" for i in range(m)],
            "effect_allele": [effect[i % 4] for i in range(m)],
            "other_allele": [other[i % 4] for i in range(m)],
        }
    )


class FormatCohort(Cohort):
    """A cohort of one file of a format with dosages.

    Parameters
    ----------
    folder
        Of the cohort.
    file
        The .pgen or .bgen.
    sex
        int8, one per person.
    reference
        ``first`` or ``last``, of a BGEN.
    chunks
        Number of chunks.
    """

    def __init__(self, folder: Path, file: Path, sex: np.ndarray, reference: str = "", chunks: int = 1):
        self.folder, self.prefix, self.sex = Path(folder), str(file), np.asarray(sex, dtype=np.int8)
        self.folder.mkdir(parents=True, exist_ok=True)
        index = {"filesets": [self.prefix]}
        if reference:
            index |= {"bgen_reference": reference, "bgen_index": str(self.folder)}
            self.reader = open_bgen(file, reference, self.folder / "index.parquet")
            variants = self.reader.variants()
        else:
            self.reader, pvar, _ = open_pgen(file)
            variants = pvar.variants
        m, n = len(variants), len(self.sex)
        self.variants = variants.assign(
            index=np.arange(m), file=np.zeros(m, np.int32), file_row=np.arange(m),
            chunk=(np.arange(m) * chunks // max(m, 1)).astype(np.int32),
        )  # fmt: skip
        write_parquet(self.variants, self.folder / "variants.parquet")
        write_json(index | {"variants": m, "samples": n}, self.folder / "genotypes.json")
        write_parquet(pd.DataFrame({"sample_index": np.arange(n), "sex": self.sex}), self.folder / "samples.parquet")

    def dosages(self) -> np.ndarray:
        """Return all dosages as they are read: variants x people."""
        return self.reader.dosages(np.arange(len(self.variants))).to_float()


def write_pgens(folder: Path, data: Haplotypes) -> None:
    """Write the data as ``phased`` and ``plain`` PLINK 2 filesets."""
    data.write_vcf(folder / "source.vcf")
    people = pd.DataFrame({"#IID": [f"p{i}" for i in range(len(data.sex))], "SEX": data.sex})
    people.to_csv(folder / "source.psam", sep="\t", index=False)
    source = ["--vcf", folder / "source.vcf", "dosage=HDS", "--psam", folder / "source.psam"]
    plink2(*source, "--make-pgen", "--out", folder / "phased")
    plink2("--pfile", folder / "phased", "--make-pgen", "erase-phase", "--out", folder / "plain")


def write_formats(folder: Path, data: Haplotypes) -> dict[str, FormatCohort]:
    """Write the data in every format; return a cohort for each, the first the PGEN that the others are made of."""
    write_pgens(folder, data)
    out = {name: FormatCohort(folder / f"c.{name}", folder / f"{name}.pgen", data.sex) for name in ("plain", "phased")}
    for name in ("plain", "phased"):
        for version, form in (("1.2", "zlib"), ("1.3", "zstd")):
            for bits in (8, 16):
                for place in ("first", "last"):
                    key = f"bgen {name} {form} {bits} {place}"
                    prefix = folder / key.replace(" ", ".")
                    export = [f"bgen-{version}", f"bits={bits}", f"ref-{place}"]
                    plink2("--pfile", folder / name, "--export", *export, "--out", prefix)
                    out[key] = FormatCohort(folder / f"c.{key}", Path(f"{prefix}.bgen"), data.sex, place)
    for field, name in (("DS", "plain"), ("HDS", "phased"), ("GP", "plain")):
        kind = "GP" if field == "GP" else f"{field}-force"
        prefix = folder / f"vcf.{field}"
        plink2("--pfile", folder / name, "--export", "vcf", f"vcf-dosage={kind}", "--out", prefix)
        import_vcf(f"{prefix}.vcf", folder / f"imported.{field}", field)
        out[f"vcf {field}"] = FormatCohort(folder / f"c.vcf.{field}", folder / f"imported.{field}.pgen", data.sex)
    return out


def write_bgen(path: Path, data: Haplotypes, bits: int, reference: str, compression: str) -> Path:
    """Write the haplotypes as a phased BGEN of 8 or 16 bits, both of which hold them as they are."""
    step, haploid, variants = (2**bits - 1) // GRID, data.haploid, []
    for v, row in enumerate(data.variants.itertuples()):
        # probabilities are those of the first allele
        values = data.values[v] if reference == "last" else GRID - data.values[v]
        ploidy = np.where(haploid[v], 1, 2).tolist()
        people = [
            None if gone else tuple(int(x) * step for x in h[:p]) for h, p, gone in zip(values, ploidy, data.missing[v])
        ]
        alleles = (row.effect_allele, row.other_allele)
        names = {"chromosome": row.chromosome, "position": row.position, "rsid": row.id}
        alleles = alleles if reference == "last" else alleles[::-1]
        variants.append(Variant(people, bits, True, ploidy, alleles=alleles, **names))
    return BgenFile(variants, compression).write(path)


def people_of(rng: np.random.Generator, g: np.ndarray) -> pd.DataFrame:
    """Return a quantitative and a binary phenotype, covariates and a DeepNull covariate; some have no phenotype."""
    n = g.shape[1]
    filled = np.where(np.isnan(g), 1.0, g)
    table = pd.DataFrame({"IID": [f"p{i}" for i in range(n)], "x1": rng.normal(size=n), "x2": rng.normal(size=n)})
    table["d"] = table["x1"] ** 2 + 0.1 * rng.normal(size=n)
    y = 0.5 * table["x1"] + 0.3 * table["d"] + 0.3 * filled[1] - 0.3 * filled[-1] + rng.normal(size=n)
    table["q"] = y.where(rng.random(n) < 0.95)
    table["b"] = (y > y.quantile(0.6)).astype(float).where(rng.random(n) < 0.95)
    return table


def studies_of(cohort: Cohort, table: pd.DataFrame, names: str = "qb") -> list:
    """Write the studies of the two phenotypes, both arms."""
    covariates = {"x1": table["x1"], "x2": table["x2"]}
    traits = {"q": "quantitative", "b": "binary"}
    return [cohort.study(name, table[name], covariates, table["d"], traits[name]) for name in names]


def assert_close(a: pd.DataFrame, b: pd.DataFrame, tolerance: float, names: str = "qb") -> float:
    """Compare the estimates of two results in standard errors; return the largest difference."""
    largest = 0.0
    for key in (f"{name}.{arm}" for name in names for arm in ("baseline", "deepnull")):
        assert (a[f"{key}.reason"] == b[f"{key}.reason"]).all(), key
        se = a[f"{key}.se"]
        assert se.notna().mean() > 0.95
        largest = max(largest, (np.abs(a[f"{key}.beta"] - b[f"{key}.beta"]) / se).max())
        assert largest < tolerance, key
        assert (np.abs(b[f"{key}.se"] / se - 1)).max() < tolerance, key
    return largest

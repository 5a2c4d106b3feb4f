"""The same genotypes as PLINK 2 filesets and BGEN files, for the tests of everything above the readers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from bgen_files import BgenFile, Variant

#: Of what dosages are multiples, so that all formats but 8-bit BGEN hold them exactly.
UNIT = 1 / 16384


def variant_rows(m: int, chromosome: str = "1", step: int = 1000) -> pd.DataFrame:
    """Return m variants: chromosome, position, id, effect_allele, other_allele."""
    alleles = np.array(list("ACGT"))
    k = np.arange(m)
    return pd.DataFrame(
        {
            "chromosome": chromosome,
            "position": step * (k + 1),
            "id": [f"rs{i}" for i in k],
            "effect_allele": alleles[k % 4],
            "other_allele": alleles[(k + 1 + k // 4 % 3) % 4],
        }
    )


def write_pgen(prefix: Path, dosages: np.ndarray, variants: pd.DataFrame, people: pd.DataFrame) -> str:
    """Write a PLINK 2 fileset; returns its .pgen.

    Parameters
    ----------
    prefix
        Path without extension.
    dosages
        Variants x people: float of effect alleles, NaN missing; hard calls only are written where they are int8 (-1
        missing).
    variants
        As :func:`variant_rows`.
    people
        fid, iid, sex.
    """
    import pgenlib

    hard = dosages.dtype == np.int8
    path = Path(f"{prefix}.pgen")
    with pgenlib.PgenWriter(
        str(path).encode(), dosages.shape[1], len(dosages), nonref_flags=False, dosage_present=not hard
    ) as writer:
        for row in dosages:
            if hard:
                writer.append_biallelic(np.where(row < 0, -9, row).astype(np.int8))
            else:
                writer.append_dosages(np.where(np.isnan(row), -9, row).astype(np.float32))
    rows = zip(*(variants[c] for c in ("chromosome", "position", "id", "other_allele", "effect_allele")))
    Path(f"{prefix}.pvar").write_text(
        "#CHROM\tPOS\tID\tREF\tALT\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows)
    )
    rows = zip(people["fid"], people["iid"], people["sex"])
    Path(f"{prefix}.psam").write_text("#FID\tIID\tSEX\n" + "".join("\t".join(map(str, row)) + "\n" for row in rows))
    return str(path)


def write_bgen(
    path: Path,
    dosages: np.ndarray,
    variants: pd.DataFrame,
    people: pd.DataFrame,
    reference: str,
    bits: int = 16,
    named: bool = False,
) -> str:
    """Write a BGEN file with its .sample, each genotype as sharp as its dosage allows; returns its path.

    Parameters
    ----------
    path
        The .bgen.
    dosages, variants, people
        As :func:`write_pgen`.
    reference
        ``first`` or ``last``: where the other allele goes.
    bits
        Of each probability.
    named
        Whether the .bgen itself lists the people too.
    """
    top = 2**bits - 1
    rows = []
    for values, variant in zip(np.asarray(dosages, dtype=float), variants.itertuples()):
        first = values if reference == "last" else 2 - values
        genotypes = []
        for d in first:
            if not 0 <= d <= 2:
                genotypes.append(None)
            elif d <= 1:
                genotypes.append((0, round(d * top)))
            else:
                genotypes.append((round((d - 1) * top), top - round((d - 1) * top)))
        alleles = (variant.effect_allele, variant.other_allele)
        rows.append(
            Variant(
                genotypes, bits, chromosome=variant.chromosome, position=variant.position, rsid=variant.id,
                alleles=alleles if reference == "last" else alleles[::-1],
            )
        )  # fmt: skip
    BgenFile(rows, identifiers=list(people["iid"]) if named else None).write(path)
    lines = [f"{f} {i} 0 {s}" for f, i, s in zip(people["fid"], people["iid"], people["sex"])]
    path.with_suffix(".sample").write_text("\n".join(["ID_1 ID_2 missing sex", "0 0 0 D", *lines]) + "\n")
    return str(path)

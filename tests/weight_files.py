"""Files of weights as the PGS Catalog writes them, for small cohorts."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd

from deepnull_gwas.scores.matching import match_weights, score_people
from deepnull_gwas.scores.weights import read_weights

HEADER = "###PGS CATALOG SCORING FILE\n#pgs_id=PGS000001\n#genome_build=GRCh37\n"


def write_weights(path, table: pd.DataFrame, header: str = HEADER) -> str:
    text = header + table.to_csv(sep="\t", index=False)
    if str(path).endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return str(path)


def weights_of(m: int) -> pd.DataFrame:
    rng = np.random.default_rng(10)
    return pd.DataFrame(
        {
            "rsID": [f"v{i}" for i in range(m)],
            "chr_name": "1",
            "chr_position": np.arange(1, m + 1) * 1000,
            "effect_allele": "A",
            "other_allele": "C",
            "effect_weight": rng.normal(size=m).round(4),
        }
    )


def score_of(cohort, path, minimum=0.75):
    _, _, fileset, variants = cohort
    matched = match_weights(read_weights(path, "GRCh37"), variants, path, minimum)
    return score_people(fileset, matched, np.arange(50)), matched

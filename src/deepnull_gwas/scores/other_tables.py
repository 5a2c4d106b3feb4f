"""The tables of a configuration other than the sample table, read before the first long job.

What is wrong with one is said then, not hours later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deepnull_gwas.errors import InputError, InputErrors
from deepnull_gwas.tables import read_parquet

logger = logging.getLogger(__name__)


def problems_of_tables(
    samples: str | Path,
    build: str,
    folds: int,
    pairs: str | Path | None = None,
    loadings: str | Path | None = None,
    fold_file: str | Path | None = None,
    scores: Sequence[str | Path] = (),
    genes: str | Path | None = None,
) -> list[str]:
    """Read the tables that later steps need, as these will, and return what is wrong with them.

    Parameters
    ----------
    samples
        samples.parquet of the cohort.
    build
        Its genome build.
    folds
        Number of folds of the config.
    pairs, loadings, fold_file, scores, genes
        Tables of related pairs, of loadings and of folds, files of weights and a table of genes, where the config names
        any.

    Returns
    -------
    One message each; none where all is right as far as it can be seen before quality control (whether everybody
    analysed has a fold cannot).
    """
    found: list[str] = []

    def attempt(path: str | Path, read: Callable[[], Any]) -> None:
        try:
            read()
        except InputErrors as error:
            found.extend(error.problems)
        except InputError as error:
            found.append(str(error))
        else:
            logger.info("%s: can be read", path)

    people = read_parquet(samples, columns=["sample_index", "fid", "iid"])
    # each imported only where there is such a table: most runs have none
    if pairs:
        from deepnull_gwas.cohort.relatives import read_pairs

        attempt(pairs, lambda: read_pairs(pairs, people))
    if loadings:
        from deepnull_gwas.cohort.projection import read_loadings

        attempt(loadings, lambda: read_loadings(loadings))
    if fold_file:
        from deepnull_gwas.deepnull.fold_steps import read_fold_file

        attempt(fold_file, lambda: read_fold_file(fold_file, people.iloc[:0], folds))
    for path in dict.fromkeys(str(score) for score in scores):
        from deepnull_gwas.scores.weights import read_weights

        attempt(path, lambda p=path: read_weights(p, build))
    if genes:
        from deepnull_gwas.genes.table import read_genes

        attempt(genes, lambda: read_genes(genes))
    return found

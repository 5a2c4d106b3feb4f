"""How the spread of a phenotype, beyond its null model, goes with ancestry.

In people of several ancestries both a genotype and what many genes make of a phenotype vary more in some ancestries
than in others: where frequencies are nearer to one half, or where there are more variants. A test that takes one
variance for all people then has a standard error that is too small. Mixed models weigh people by the diagonal of their
relationship matrix; here the spread is read from the residuals themselves, as a function of the principal components
among the covariates, and the tests of quantitative traits weigh people by it.
"""

from __future__ import annotations

import numpy as np

#: Nothing is weighed unless chance would make the residuals' size go so well with the components less often than this.
LEAST_P = 1e-2
#: Nothing is weighed where the fitted spread has a smaller coefficient of variation: the tests hold then.
LEAST_VARIATION = 0.05
#: The spread of a person is at least, and at most, this multiple of the mean.
BOUNDS = 0.5, 2.0


def spread_by_ancestry(residuals: np.ndarray, components: np.ndarray) -> np.ndarray | None:
    """Return each person's standard deviation as a multiple of the study's: float64[n], of mean square 1.

    Parameters
    ----------
    residuals
        float64[n], what the null model leaves of the phenotype.
    components
        float64[n, k], principal components of ancestry among the covariates.

    Returns
    -------
    None where there are no components, or the size of the residuals does not go with them.

    Notes
    -----
    Least squares of the residuals' absolute values on the components (Glejser 1969), which heavy tails disturb less
    than squares, tested by n R2 as a chi-square of k degrees of freedom (Koenker 1981).
    """
    n, k = components.shape
    size = np.abs(residuals)
    about = float(np.sum((size - size.mean()) ** 2))
    if not k or n <= 10 * (k + 1) or about <= 0.0:
        return None
    # scipy.stats would cost seconds to import
    from scipy.special import chdtrc

    x = np.column_stack([np.ones(n), components])
    fitted = x @ np.linalg.lstsq(x, size, rcond=1e-10)[0]
    explained = 1.0 - float(np.sum((size - fitted) ** 2)) / about
    if chdtrc(k, n * explained) > LEAST_P or fitted.std() < LEAST_VARIATION * fitted.mean():
        return None
    spread = np.clip(fitted / fitted.mean(), *BOUNDS)
    return spread / np.sqrt(np.mean(spread**2))

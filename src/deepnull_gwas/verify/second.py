"""The second implementation on the people of one study and one class of chromosomes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from deepnull_gwas.verify.bases import basis_among, constant_first, orthonormal_basis, power_of_two, with_covariate
from deepnull_gwas.verify.compare import Estimate
from deepnull_gwas.verify.files import Study
from deepnull_gwas.verify.linear import least_squares
from deepnull_gwas.verify.logistic import approximate, fit_null, fit_penalised, logistic
from deepnull_gwas.verify.relatives import Kin, generalised_least_squares, widened


class Second:
    """The second implementation, on the people of one study and one class of chromosomes.

    Parameters
    ----------
    study
        The study.
    sex
        int8, one per person of the cohort's genotypes: 1 male, 2 female, 0 unknown.
    kind
        ``autosome``, ``X``, ``Y`` or ``MT``.
    settings
        ``missing_genotypes``, ``x_male_copies``, ``refine_by`` and ``firth_form`` of the config.
    chromosome
        Where the variants are; it matters only where the study has offsets.
    """

    def __init__(
        self,
        study: Study,
        sex: np.ndarray,
        kind: str,
        settings: Mapping[str, Any],
        chromosome: str = "",
    ):
        on = {"X": sex > 0, "Y": sex == 1}.get(kind, np.ones(len(sex), dtype=bool))
        inside = on[study.people]
        self.study, self.kind = study, kind
        self.people = study.people[inside]
        # a power of two changes no digit, and keeps squares of very small or large phenotypes within what a number can
        # hold
        self.unit = 1.0 if study.has_cases else power_of_two(study.y)
        self.y = study.y[inside] / self.unit
        self.offset = {arm: values[inside] for arm, values in study.offsets_on(kind, chromosome).items()}
        men = (sex == 1)[self.people]
        self.copies_of = np.full(len(self.people), 1 if kind in ("Y", "MT") else 2)
        if kind == "X":
            self.copies_of[men] = 1
        #: What one copy of a person counts for in the test: on X, by default, one of a man's as both of a woman's
        self.weight = np.ones(len(self.people))
        if kind == "X":
            self.weight[men] = int(settings.get("x_male_copies", 2))
        covariates = study.covariates if inside.all() else study.covariates[inside]
        if kind == "X":
            covariates = np.column_stack([covariates, sex[self.people].astype(float)])
        self.covariates = covariates
        extra = study.deepnull_covariate
        self.deepnull_covariate = None if extra is None else extra[inside]
        self.kin: dict[str, Kin] = {}
        for arm in set(study.arms) - set(study.failed):
            edges = [] if study.relatives is None else study.relatives.edges(arm, chromosome, inside)
            spread = study.spread.get(arm)
            if edges or spread is not None:
                self.kin[arm] = Kin(edges, len(self.people), None if spread is None else spread[inside])
        # the weights of relatives are those of everybody
        self.drop = settings.get("missing_genotypes", "impute_mean") == "drop" and not self.kin
        self.by_score = settings.get("refine_by", "likelihood") == "spa"
        self.approximate = settings.get("firth_form", "full") == "approximate"
        self._nulls: dict[str, np.ndarray] = {}
        self._penalised: dict[str, np.ndarray] = {}

    @functools.cached_property
    def shared(self) -> np.ndarray:
        """Basis of the covariates for all people: that of the baseline."""
        return orthonormal_basis(self.covariates)

    @functools.cached_property
    def _columns(self) -> np.ndarray:
        """Basis of the deepnull arm for all people: the shared one and what the covariate adds, if anything."""
        extra = self.deepnull_covariate
        return self.shared if extra is None else with_covariate(self.shared, extra)

    def ready(self, before: Second | None = None) -> Second:
        """Compute what all variants share, so that several can then be tested at a time.

        Parameters
        ----------
        before
            The same of another study: where people and covariates are the same, number by number, so is the basis.
        """
        if (
            before is not None
            and np.array_equal(before.people, self.people)
            and np.array_equal(before.covariates, self.covariates)
        ):
            self.shared = before.shared
        for arm in self.study.arms:
            self.basis(arm)
            if self.study.has_cases:
                self.null(arm)
                if self.approximate:
                    self.penalised(arm)
        return self

    def basis(self, arm: str) -> np.ndarray:
        """Return the basis of an arm for all people; a variant without missing calls needs no other."""
        return self.shared if arm == "baseline" else self._columns

    def null(self, arm: str) -> np.ndarray:
        """Return the coefficients of an arm's null model of all people (binary)."""
        if arm not in self._nulls:
            self._nulls[arm] = fit_null(self.basis(arm), self.y, self.offset.get(arm))
        return self._nulls[arm]

    def penalised(self, arm: str) -> np.ndarray:
        """Return the coefficients of an arm's null model of all people by Firth's likelihood (binary)."""
        if arm not in self._penalised:
            start, offset = self.null(arm), self.offset.get(arm)
            self._penalised[arm] = fit_penalised(self.basis(arm), self.y, start, offset)
        return self._penalised[arm]

    def copies(self, calls: np.ndarray) -> np.ndarray:
        """Return how many copies of A1 each analysed person carries, at most one where one is there; NaN without call.

        Parameters
        ----------
        calls
            Copies of A1 of everybody in the files, 0 to 2, also where one is there: whole numbers, or dosages; below 0
            or NaN where missing.
        """
        copies = np.asarray(calls)[self.people].astype(float)
        copies[copies < 0] = np.nan
        # a person with one copy carries it or does not; two different alleles are no call
        single = self.copies_of == 1
        copies[single & (copies == 1)] = np.nan
        copies[single] /= 2
        return copies

    def counts(self, calls: np.ndarray) -> dict[str, float]:
        """Return numbers of people and frequencies of A1, by the names of the published columns.

        A frequency is NaN where nobody has a call.

        Parameters
        ----------
        calls
            As for :meth:`copies`.
        """
        copies = self.copies(calls)
        seen = ~np.isnan(copies)
        people = seen if self.drop else np.full(len(copies), seen.any())

        def frequency(who: np.ndarray) -> float:
            who = who & seen
            return float(copies[who].sum() / self.copies_of[who].sum()) if who.any() else float("nan")

        found = {"n": int(people.sum()), "effect_allele_frequency": frequency(seen)}
        if self.study.has_cases:
            cases = self.y == 1
            found |= {
                "n_cases": int((people & cases).sum()),
                "effect_allele_frequency_cases": frequency(cases),
                "effect_allele_frequency_controls": frequency(~cases),
            }
        return found

    def information(self, calls: np.ndarray, probabilities: tuple[np.ndarray, np.ndarray] | None = None) -> float:
        """Return how well a variant is imputed among the analysed people, NaN where it does not vary.

        Parameters
        ----------
        calls
            As for :meth:`copies`.
        probabilities
            Expected copies and their variances, of everybody: then it is IMPUTE's information, else MaCH's r2.
        """
        single = self.copies_of == 1
        if probabilities is None:
            g = self.copies(calls) * np.where(single, 2, 1)
        else:
            g = probabilities[0][self.people]
        seen = ~np.isnan(g)
        g, single, copies = g[seen], single[seen], self.copies_of[seen]
        p = (g * copies).sum() / 2 / copies.sum() if len(g) else 0.0
        expected = np.where(single, 4, 2).sum() * p * (1 - p)
        if not expected > 0:
            return float("nan")
        if probabilities is None:
            return float(((g - g.mean()) ** 2).sum() / expected)
        return float(1 - probabilities[1][self.people][seen].sum() / expected)

    def test(self, calls: np.ndarray, arm: str, method: str) -> Estimate:
        """Test one variant by the method that its row names.

        Parameters
        ----------
        calls
            As for :meth:`copies`.
        arm
            ``baseline`` or ``deepnull``.
        method
            One of :data:`deepnull_gwas.verify.compare.METHODS_KNOWN`.

        Returns
        -------
        Effect of one copy of A1 (quantitative: in the phenotype's unit; binary: log odds ratio).
        """
        if method != "linear" and arm in self.kin:
            alone = self._test(calls, arm, method)
            g = self.copies(calls) * self.weight
            g = np.where(np.isnan(g), np.nanmean(g), g)
            eta = self.basis(arm) @ self.null(arm) * np.sqrt(len(g)) + self.offset.get(arm, 0.0)
            return widened(alone, self.basis(arm), g, 1 / (1 + np.exp(-eta)), self.kin[arm])
        return self._test(calls, arm, method)

    def _test(self, calls: np.ndarray, arm: str, method: str) -> Estimate:
        """Test one variant as :meth:`test` does, scores as of independent people."""
        g = self.copies(calls) * self.weight
        seen, y, offset = ~np.isnan(g), self.y, self.offset.get(arm)
        if method == "firth_approximate":
            # the covariates' model stays that of everybody
            g = g if self.drop else np.where(seen, g, g[seen].mean())
            return approximate(self.basis(arm), y, g, self.null(arm), self.penalised(arm), offset)
        # the score test is that of everybody's null model, also where saddle points refine it
        dropped = self.drop and not seen.all() and not (self.by_score and method in ("score", "spa"))
        if dropped:
            basis, y, g = basis_among(self.basis(arm), seen), y[seen], g[seen]
            offset = None if offset is None else offset[seen]
        else:
            basis = self.basis(arm)
            g = np.where(seen, g, g[seen].mean())
        if method != "linear":
            # the constant must come first
            basis = constant_first(basis) if dropped else basis
            return logistic(basis, y, g, method, None if dropped else self.null(arm), offset)
        y = y if offset is None else y - offset / self.unit
        if arm in self.kin:
            found = generalised_least_squares(basis, y, g, self.kin[arm])
        else:
            found = least_squares(basis, y, g)
        return found._replace(beta=found.beta * self.unit, se=found.se * self.unit)

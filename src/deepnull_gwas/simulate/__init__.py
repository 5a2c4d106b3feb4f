"""Cohorts with known truth: genotypes from a coalescent, phenotypes with stated effects."""

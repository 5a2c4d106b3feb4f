"""People of a cohort: sample table, covariates, quality control, population structure."""

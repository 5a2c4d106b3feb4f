"""DeepNull: a phenotype predicted from covariates alone, out of fold (McCaw et al., Nature Communications 2022)."""

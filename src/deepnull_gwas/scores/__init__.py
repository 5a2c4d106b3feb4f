"""Prediction of phenotypes from covariates and polygenic scores, with and without DeepNull.

McCaw et al. 2022, Nature Communications 13:241.
"""

"""Results of a study: summary statistics, calibration, loci, comparison of arms, state of the run."""

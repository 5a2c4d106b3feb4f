"""Association: the design of a batch, linear and logistic tests, the scan over variants."""

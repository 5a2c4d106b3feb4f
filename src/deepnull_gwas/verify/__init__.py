"""The second implementation of the tests, to check the first: one variant at a time, plain numpy, double precision.

It shares no code with the scan, on purpose: it reads the bytes of the genotype file itself, codes haploid genotypes by
itself, and has its own least squares, its own Newton's method for the logistic likelihood and for Firth's, its own
saddle point and its own tails of the distributions. A mistake would have to be made twice, in two ways, to go unseen.
``tests/workflow/test_layout.py`` sees to it that nothing of the library but tables, traits and errors is imported here.

* :mod:`.files`: a study, from the files of earlier steps; :mod:`.genotypes`: a variant, from the file it is in.
* :mod:`.bases`, :mod:`.tails`: orthonormal bases; tail probabilities.
* :mod:`.linear`, :mod:`.logistic`, :mod:`.saddle`: the tests.
* :mod:`.relatives`: matrices of correlated relatives, and the tests with them.
* :mod:`.second`: all of it for one study on one class of chromosomes (:class:`~deepnull_gwas.verify.second.Second`).
* :mod:`.compare`: bounds, and a result of the scan held against a recomputed one.

Two callers: the check that every association job makes of itself before its result gets a name
(:mod:`deepnull_gwas.association.check`), and the thorough check of published files, rule ``verify_batch``
(:mod:`deepnull_gwas.results.verify_batch`).
"""

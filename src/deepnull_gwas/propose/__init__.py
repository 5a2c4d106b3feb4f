"""A first configuration for somebody's files: what they look like, what follows from that, and why.

Nothing is decided in silence. What cannot be seen (the genome build, the reference allele of a .bgen, which value is a
case) stays open in the configuration, with what was seen of it.

========================================  ==============================================
:mod:`.genotypes`, :mod:`.builds`         genotype files, and the build of their positions
:mod:`.samples`, :mod:`.columns`          the sample table, and what its columns look like
:mod:`.write`                             the configuration and the studies sheet
========================================  ==============================================
"""

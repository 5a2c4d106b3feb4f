"""Reading genotypes: filesets, 2-bit kernels, chromosome codes."""

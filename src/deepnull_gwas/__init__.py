"""DeepNull genome-wide association studies: everything that computes in the workflow."""

__version__ = "0.1.0"

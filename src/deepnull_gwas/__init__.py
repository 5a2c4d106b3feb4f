"""DeepNull genome-wide association studies: everything that computes in the workflow."""

__version__ = "0.1.0"
#: Day of the release, for what is published without a date of its own: any other day would make the bytes depend on
#: when they were made.
RELEASED = "2026-11-23"

"""Whole-genome regression: polygenic predictions that leave a chromosome out, and what relatives have in common."""

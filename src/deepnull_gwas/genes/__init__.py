"""Genes of the genome: tables of them, and which are near a variant or inside a locus."""

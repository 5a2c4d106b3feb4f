"""Where results came from: one file that records what was analysed, by what and with what; and a run repeated from it.

The file has two parts. ``analysis`` is the same for the same analysis, wherever and whenever it runs: configuration,
studies, checksums of inputs and of published files, seeds, software, and the parameters of every job. ``execution`` is
about this one run: host, folder, times, memory.
"""

from deepnull_gwas.provenance.checksums import Checksums, sha256
from deepnull_gwas.provenance.record import FORMAT, RunFolders, record_run
from deepnull_gwas.provenance.repeat import compare_run, read_record, repeat_run
from deepnull_gwas.provenance.software import source_state

__all__ = [
    "FORMAT",
    "Checksums",
    "RunFolders",
    "compare_run",
    "read_record",
    "record_run",
    "repeat_run",
    "sha256",
    "source_state",
]

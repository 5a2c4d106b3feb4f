"""Other programs read what `deepnull-gwas convert` writes: LDSC, PheWeb and GWASLab where they are installed;
MungeSumstats by the names that it documents.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from deepnull_gwas.cli import main
from deepnull_gwas.errors import InputError
from deepnull_gwas.results.conversions import FORMS, SMALLEST_P, convert_sumstats
from deepnull_gwas.results.publish import merge_sumstats
from deepnull_gwas.results.sumstats import read_sumstats
from result_tables import write_results

ROOT = Path(__file__).resolve().parents[2]
#: Environments of the programs, one each: scripts/install-readers.sh makes them.
READERS = Path(os.environ.get("DEEPNULL_GWAS_READERS", ROOT / ".cache/readers"))


def reader(name: str) -> Path:
    """Return the Python of a program's environment; skip where it is not there, fail where oracles are required (not
    for the heavy one).
    """
    python = READERS / name / "bin/python"
    if not python.exists():
        required = os.environ.get("REQUIRE_ORACLES") and name != "gwaslab"
        (pytest.fail if required else pytest.skip)(f"{name} is not installed (scripts/install-readers.sh {name})")
    return python


def ask(name: str, code: str, folder: Path, *arguments: object) -> str:
    """Run code in a program's environment; no file of it goes to the home folder."""
    environment = os.environ | {"HOME": str(folder), "MPLCONFIGDIR": str(folder), "PYTHONWARNINGS": "ignore"}
    command = [str(reader(name)), "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module", params=["quantitative", "binary"])
def published(request, tmp_path_factory):
    """Publish 2,300 variants, some untested, one with p below 1e-300."""
    folder = tmp_path_factory.mktemp("published")
    study, chunks, _ = write_results(folder, [*map(str, range(1, 23)), "X"], 100, trait=request.param)
    out = folder / "sumstats.tsv.gz"
    info = {"cohort": "c", "genome_build": "GRCh38"}
    merge_sumstats(chunks, "s", "baseline", study, out, folder / "meta.yaml", folder / "untested.tsv.gz", info)
    return out


@pytest.mark.parametrize("form", FORMS)
def test_every_form_holds_the_same_numbers(published, tmp_path, form):
    out = tmp_path / "o.tsv"
    rows = convert_sumstats(published, form, out)
    ours, theirs = read_sumstats(published).to_pandas(), pd.read_csv(out, sep="\t", dtype={"CHR": str, "chrom": str})
    assert len(theirs) == rows == len(ours)
    effect = {"ldsc": "A1", "pheweb": "alt", "mungesumstats": "EFFECT_ALLELE", "gwaslab": "EA"}[form]
    other = {"ldsc": "A2", "pheweb": "ref", "mungesumstats": "NON_EFFECT_ALLELE", "gwaslab": "NEA"}[form]
    assert (theirs[effect] == ours["effect_allele"]).all() and (theirs[other] == ours["other_allele"]).all()
    lower = theirs.rename(columns=str.lower)
    np.testing.assert_array_equal(lower["beta"], ours["beta"])
    if form == "gwaslab":
        np.testing.assert_array_equal(theirs["MLOG10P"], ours["neg_log_10_p_value"])
    else:
        p = lower["pval" if form == "pheweb" else "p"]
        np.testing.assert_allclose(p, np.maximum(10.0 ** -ours["neg_log_10_p_value"], SMALLEST_P), rtol=1e-6)
        assert p.min() == SMALLEST_P
    binary = "n_cases" in ours
    cases = {"pheweb": "case_af", "mungesumstats": "N_CAS", "gwaslab": "N_CASE"}.get(form)
    assert cases is None or (cases in theirs) == binary
    if binary and form == "mungesumstats":
        assert (theirs["N_CAS"] + theirs["N_CON"] == theirs["N"]).all()
    # what readers of each program look for; MungeSumstats' column headers (inst/extdata of the package) map these, and
    # EFFECT_ALLELE is one of the
    # names that say themselves which allele they are
    needed = {
        "ldsc": {"SNP", "A1", "A2", "N", "P", "BETA"},
        "pheweb": {"chrom", "pos", "ref", "alt", "pval"},
        "mungesumstats": {"SNP", "CHR", "BP", "EFFECT_ALLELE", "NON_EFFECT_ALLELE", "BETA", "SE", "P", "N", "FRQ"},
        "gwaslab": {"SNPID", "rsID", "CHR", "POS", "EA", "NEA", "BETA", "SE", "MLOG10P", "N", "EAF"},
    }[form]
    assert needed <= set(theirs)


def test_ldsc_munges_it(published, tmp_path):
    convert_sumstats(published, "ldsc", tmp_path / "o.tsv")
    script = reader("ldsc").with_name("munge_sumstats.py")
    # as `python munge_sumstats.py …`: it imports its neighbour
    code = """
import pathlib, runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, str(pathlib.Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
    said = ask("ldsc", code, tmp_path, script, "--sumstats", "o.tsv", "--out", "m")
    assert "Removed 0 SNPs with out-of-bounds p-values." in said
    theirs = pd.read_csv(tmp_path / "m.sumstats.gz", sep="\t").set_index("SNP")
    ours = read_sumstats(published).to_pandas().set_index("variant_id").loc[theirs.index]
    assert len(theirs) > 1000
    assert (theirs["A1"] == ours["effect_allele"]).all()
    # its Z comes from p and the sign of beta, to three decimals; of A1
    z = np.sign(ours["beta"]) * stats.norm.isf(np.maximum(10.0 ** -ours["neg_log_10_p_value"], SMALLEST_P) / 2)
    np.testing.assert_allclose(theirs["Z"], z, atol=6e-4)


def test_pheweb_reads_it(published, tmp_path):
    convert_sumstats(published, "pheweb", tmp_path / "o.tsv.gz")
    code = """
import json, sys
from pheweb.load.read_input_file import PhenoReader
reader = PhenoReader({"assoc_files": [sys.argv[1]], "phenocode": "height", "num_samples": 900})
print("ANSWER" + json.dumps(list(reader.get_variants())))
"""
    theirs = pd.DataFrame(json.loads(ask("pheweb", code, tmp_path, tmp_path / "o.tsv.gz").split("ANSWER")[1]))
    ours = read_sumstats(published).to_pandas()
    assert len(theirs) == len(ours)
    assert (theirs["alt"] == ours["effect_allele"]).all() and (theirs["ref"] == ours["other_allele"]).all()
    assert theirs["chrom"].iloc[-1] == "X"
    # it keeps two digits
    np.testing.assert_allclose(theirs["beta"], ours["beta"], rtol=0.06)
    np.testing.assert_allclose(theirs["af"], ours["effect_allele_frequency"], atol=0.006)


@pytest.mark.slow  # its environment takes 850 MB
@pytest.mark.parametrize("form", ["gwaslab", "ssf"])
def test_gwaslab_reads_it(published, tmp_path, form):
    # the published file itself, too
    path = published
    if form == "gwaslab":
        path = tmp_path / "o.tsv.gz"
        convert_sumstats(published, form, path)
    code = """
import sys
import gwaslab
table = gwaslab.Sumstats(sys.argv[1], fmt=sys.argv[2], build="38", verbose=False)
table.basic_check(verbose=False)
table.data.to_csv("theirs.tsv", sep="\\t", index=False)
"""
    ask("gwaslab", code, tmp_path, path, form)
    theirs, ours = pd.read_csv(tmp_path / "theirs.tsv", sep="\t"), read_sumstats(published).to_pandas()
    both = theirs.merge(ours, left_on="SNPID", right_on="variant_id", validate="1:1")
    assert len(both) == len(ours)
    assert (both["EA"] == both["effect_allele"]).all() and (both["NEA"] == both["other_allele"]).all()
    # it keeps single precision of some
    for mine, other in (("beta", "BETA"), ("standard_error", "SE"), ("neg_log_10_p_value", "MLOG10P"), ("n", "N")):
        np.testing.assert_allclose(both[other], both[mine], rtol=1e-6)


def test_command_line_and_what_is_refused(published, tmp_path, capsys):
    out = tmp_path / "o.tsv.gz"
    assert main(["convert", "--to", "ldsc", str(published), "--output", str(out)]) == 0
    assert "variants" in capsys.readouterr().out
    with gzip.open(out, "rt") as file:
        assert file.readline() == "SNP\tA1\tA2\tN\tBETA\tP\tFRQ\n"
    # the same bytes each time
    first = out.read_bytes()
    main(["convert", "--to", "ldsc", str(published), "--output", str(out)])
    assert out.read_bytes() == first
    assert main(["convert", "--to", "ldsc", str(tmp_path / "none"), "--output", str(out)]) == 1
    assert "no such file" in capsys.readouterr().err
    with pytest.raises(InputError, match="give another name"):
        convert_sumstats(published, "ldsc", published)
    with pytest.raises(InputError, match="allowed: ldsc, pheweb"):
        convert_sumstats(published, "ldcs", out)
    other = tmp_path / "other.tsv.gz"
    other.write_bytes(gzip.compress(b"SNP\tP\nrs1\t0.1\n"))
    with pytest.raises(InputError, match="no column chromosome, base_pair_location"):
        convert_sumstats(other, "ldsc", out)
    # a damaged file is named and left where it is: it is the user's
    other.write_bytes(published.read_bytes()[:5000])
    with pytest.raises(InputError, match="not readable as gzipped summary statistics"):
        convert_sumstats(other, "ldsc", out)
    assert other.exists() and out.read_bytes() == first

"""`snakemake verify`: what was published is recomputed, and one changed number is found."""

from __future__ import annotations

import gzip
import re

import pandas as pd
import pytest

from deepnull_gwas.config import read_config
from deepnull_gwas.errors import InputError
from deepnull_gwas.results.verify_batch import verify_batch
from workflow_runs import CONFIG, SHEET, Run, publish, small_cohort

pytestmark = pytest.mark.workflow


def test_verify_passes_what_is_right_and_names_what_was_changed(run: Run, monkeypatch):
    small_cohort(run.folder)
    # alleles that the published file may not hold: their variants are checked, too
    bim = [line.split() for line in (run.folder / "g.bim").read_text().splitlines()]
    for row, alleles in ((20, ["I", "D"]), (50, ["<DEL>", "A"]), (200, ["G", "*"])):
        bim[row][4:] = alleles
    (run.folder / "g.bim").write_text("".join("\t".join(fields) + "\n" for fields in bim))
    # all variants, so that the one that is changed is among them
    run.configure(CONFIG | {"verify": {"variants": 300, "blocks": 1}}, SHEET)
    ended = run.snakemake("--cores", "2", "verify")
    assert "Verified: 4 analyses agree with what was published: " in ended.stderr
    table = pd.read_csv(run.results / "c/associations/main/verified.tsv", sep="\t")
    assert len(table) == 4
    assert (table["state"] == "ok").all()
    assert (table[["variants, second implementation", "variants, double precision"]] > 250).all().all()

    path = run.results / "c/y/deepnull/sumstats.tsv.gz"
    right = gzip.decompress(path.read_bytes()).decode()
    lines = right.splitlines()
    at = next(i for i, line in enumerate(lines) if "\tv7\t" in line)
    fields = lines[at].split("\t")
    beta = fields[4]
    # by a hundredth: nothing that anybody would see
    fields[4] = f"{float(beta) * 1.01:.7g}"
    wrong = "\n".join([*lines[:at], "\t".join(fields), *lines[at + 1 :]]) + "\n"

    publish(path, wrong, tell=True)
    failed = run.snakemake("--cores", "1", "verify", check=False)
    said = failed.stdout + failed.stderr
    assert failed.returncode
    assert re.search(
        r"results/c/y/deepnull/sumstats\.tsv\.gz: variant v7 \(1:700001, G/A\): "
        rf"beta: found {re.escape(fields[4])}, expected {beta[:5]}",
        said,
    ), said[-3000:]
    # one thing was changed: it is found by both ways of looking, and nothing else is
    assert "2 problems in the input" in said

    # right numbers, but not the file that was made: the checksum tells
    publish(path, right, tell=True)
    meta = path.with_name("sumstats.tsv.gz-meta.yaml")
    meta.write_text(re.sub(r"data_file_md5sum: \w+", f"data_file_md5sum: {'0' * 32}", meta.read_text()))
    failed = run.snakemake("--cores", "1", "verify", check=False)
    assert failed.returncode
    assert "its MD5 checksum is" in failed.stdout + failed.stderr
    assert "1 problem in the input" in failed.stdout + failed.stderr

    # whatever is damaged is named in one message, by the library alone
    monkeypatch.chdir(run.folder)
    publish(path, right, tell=True)
    folder, header = path.parent, right.splitlines()[0].split("\t")
    good = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    packed = good["sumstats.tsv.gz"]
    other = gzip.decompress(good["other_alleles.tsv.gz"]).decode()
    assert [line.split("\t")[-1] for line in other.splitlines()[1:]] == ["v20", "v50", "v200"]
    spoilt = other.replace("\t400\tlinear\tv50", "\t399\tlinear\tv50")
    assert spoilt != other

    def say() -> str:
        config = read_config("config.yaml", run.folder)
        studies = [{"study": s.name, "arms": list(s.arms), "model": s.association_model} for s in config.studies]
        settings = config.association | {"genome_build": "GRCh38"}
        # no blocks: the second implementation alone has to see it
        verify_batch(
            run.results / "c", "main", studies, settings, {"variants": 300, "blocks": 0}, 1, run.folder / "v.tsv"
        )
        return "right"

    def changed(row: int, column: str, value: str) -> str:
        lines = right.splitlines()
        fields = lines[row].split("\t")
        fields[header.index(column)] = value
        return "\n".join([*lines[:row], "\t".join(fields), *lines[row + 1 :]]) + "\n"

    assert say() == "right"
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 0x40
    position = right.splitlines()[20].split("\t")[1]
    damages = {
        "flipped byte": (lambda: path.write_bytes(flipped), r"sumstats\.tsv\.gz: damaged \("),
        "cut short": (lambda: path.write_bytes(packed[: len(packed) // 2]), r"sumstats\.tsv\.gz: damaged \("),
        "not blocked": (lambda: path.write_bytes(gzip.compress(right.encode())), r"cannot be read through its index"),
        "no index": (lambda: (folder / "sumstats.tsv.gz.tbi").unlink(), r"cannot be read through its index"),
        "no number": (lambda: publish(path, changed(20, "beta", "abc"), True), r"beta: found abc, expected -?0\."),
        "n": (lambda: publish(path, changed(20, "n", "399"), True), r"n: found 399, expected 400"),
        "method": (lambda: publish(path, changed(20, "method", "spa"), True),
        r"method: found spa, expected one of: linear"),
        "moved": (
            lambda: publish(path, changed(20, "base_pair_location", str(int(position) + 7)), True),
            rf":{position}, G/A\): is neither there nor in untested\.tsv\.gz",
        ),
        "other alleles": (
            lambda: (folder / "other_alleles.tsv.gz").write_bytes(gzip.compress(spoilt.encode())),
            r"variant v50 \(1:5000001, <DEL>/A\): n: found 399, expected 400",
        ),
        "other alleles lost": (
            lambda: (folder / "other_alleles.tsv.gz").write_bytes(
                gzip.compress(b"".join(other.encode().splitlines(True)[:-1]))
            ),
            r"2 in other_alleles\.tsv\.gz and 0 in untested\.tsv\.gz; expected 300 in all",
        ),
        "leads": (lambda: (folder / "leads.tsv").write_text("chromosome\nx\n"), r"leads\.tsv: cannot be read \("),
        "metadata": (lambda: (folder / "sumstats.tsv.gz-meta.yaml").write_text("a: 1"), r"no data_file_md5sum"),
    }  # fmt: skip
    for what, (damage, message) in damages.items():
        damage()
        with pytest.raises(InputError, match=message) as error:
            say()
        assert str(folder) in str(error.value), what
        for name, content in good.items():
            (folder / name).write_bytes(content)
    assert say() == "right"

#!/bin/sh
# Installs the tools that tests compare with (Debian or Ubuntu, as root): PLINK 1.9 and 2, GEMMA, BOLT-LMM, R, tabix, graphviz, Chromium,
# and Slurm, on which scripts/start-test-slurm.sh makes a cluster.
set -eu
missing=""
for pair in plink2:plink2 plink1.9:plink1.9 gemma:gemma bolt:bolt-lmm Rscript:r-base-core tabix:tabix dot:graphviz chromium:chromium \
  sbatch:slurm-client slurmctld:slurmctld slurmd:slurmd munged:munge; do
  command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
[ -n "$missing" ] || exit 0
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing

# The workflow in a container, at the versions of requirements.lock (docs/containers.md: how to build it, with Docker, Podman or Apptainer):
#
#   docker build --tag deepnull-gwas .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/data" deepnull-gwas --cores 8 --configfile my/config.yaml
#
# The image has one stage on purpose: numba compiles kernels for the processor that they run on, at run time, so there is nothing to build beforehand.
ARG BASE=docker.io/library/python:3.11-slim-bookworm
FROM ${BASE}

# An ordinary torch wheel brings its CUDA libraries; a folder or page with CPU wheels, named here, is asked first.
ARG PIP_FIND_LINKS=""
ARG PYTHON=python3

WORKDIR /opt/deepnull-gwas
COPY pyproject.toml requirements.lock README.md LICENSE ./
COPY scripts/setup.sh scripts/
COPY src/ src/
# the tools of development (make setup installs the whole lock file) weigh 60 MB; one lock file for all is worth more
RUN PYTHON="${PYTHON}" PIP_FIND_LINKS="${PIP_FIND_LINKS}" UV_NO_CACHE=1 PIP_NO_CACHE_DIR=1 sh scripts/setup.sh /opt/venv
COPY Snakefile ./
COPY workflow/ workflow/
COPY resources/ resources/
COPY envs/ envs/
COPY profiles/ profiles/
COPY config/ config/

# Whoever runs the container may have neither name nor home there, and may not write into the image.
ENV PATH="/opt/venv/bin:${PATH}" \
    USER=deepnull-gwas \
    HOME=/tmp \
    XDG_CACHE_HOME=/tmp/cache \
    MPLCONFIGDIR=/tmp/matplotlib \
    NUMBA_CACHE_DIR=/tmp/numba
WORKDIR /data
ENTRYPOINT ["snakemake", "--snakefile", "/opt/deepnull-gwas/Snakefile"]
CMD ["--help"]

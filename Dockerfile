# The edgekd command line as an image:
#
#   docker build -t edgekd .
#   docker run --rm -v "$PWD":/work edgekd build --target rpi4
#
# BASE_IMAGE  a Debian-like image with Python 3.11 or newer and pip.
# TORCH       what pip installs as torch: a requirement, or the path of a CPU wheel that lies in this folder
#             (wheels/torch-2.13.0+cpu-....whl). Without it pip may choose a build with gigabytes of CUDA libraries.

ARG BASE_IMAGE=python:3.11-slim
FROM ${BASE_IMAGE}

ARG TORCH=torch==2.13.0

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /source
COPY . .
# torch first and by itself, so that a wheel's "+cpu" is not held against constraints.txt.
RUN python -m pip install "${TORCH}" \
 && grep -v '^torch==' constraints.txt > /tmp/constraints.txt \
 && python -m pip install -c /tmp/constraints.txt '.[images]' \
 && useradd --create-home --uid 1000 edgekd \
 && mkdir /work && chown edgekd /work \
 && rm -rf /source /tmp/constraints.txt

USER edgekd
# The user's folder is mounted here: edgekd.toml and data are read from it, .edgekd/ and build/ are written to it.
WORKDIR /work
ENTRYPOINT ["edgekd"]
CMD ["--help"]

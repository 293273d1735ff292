#!/bin/sh
# The table of `python -m benchmarks all` with deepinv in it, and how far its PiGDM and DiffPIR and azula's are from the
# ones here, in an environment of its own.
#
# deepinv needs torchvision, which does not import beside the CPU build of torch that this project is developed with.
# Here both come from one index, so that they fit each other; several GB where that index has builds for GPUs.
#
#     sh benchmarks/peers.sh [FOLDER [OPTION ...]]
set -eu
folder=${1:-.peers}
[ $# -eq 0 ] || shift
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet torch torchvision deepinv==0.5.0 azula==0.11.1 -e .
"$folder/bin/python" -m benchmarks all "$@"
"$folder/bin/python" -m benchmarks.agreement

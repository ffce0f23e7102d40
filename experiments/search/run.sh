#!/usr/bin/env bash
# Trains one detector with an encoder, then measures its searches; what was measured already is not measured again.
# bash experiments/search/run.sh FOLDER_OF_MNIST [OUTPUTS]
set -euo pipefail
cd "$(dirname "$0")/../.."

mnist=$1 outputs=${2:-outputs/search} python=.venv/bin/python
test_set=(data.test_limit=600 data.outlier_share=0.5) # 300 normal and 300 anomalous images
checkpoint="$outputs/trained/checkpoints/last.ckpt"

[ -f "$outputs/trained/metrics.json" ] || "$python" run.py +experiment=mnist encoding=izi_f data.root="$mnist" "${test_set[@]}" \
  trainer.precision=bf16-mixed search=quick run="$outputs/trained"
"$python" experiments/search/curve.py checkpoint="$checkpoint" data.root="$mnist"
OMP_NUM_THREADS=1 "$python" experiments/search/scaling.py checkpoint="$checkpoint" data.root="$mnist"

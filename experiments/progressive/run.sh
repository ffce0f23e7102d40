#!/usr/bin/env bash
# Trains and tests the study's networks, one thread each, two at a time: about two hours on 2 quiet cores.
# bash experiments/progressive/run.sh FOLDER_OF_MNIST FOLDER_OF_CALTECH256 FOLDER_OF_CLUTTER [OUTPUTS]
set -euo pipefail
cd "$(dirname "$0")/../.."

mnist=$1 caltech=$2 clutter=$3 outputs=${4:-outputs/progressive}
run() { OMP_NUM_THREADS=1 .venv/bin/python run.py search=quick trainer.precision=bf16-mixed "$@"; }
finished() { [ -f "$outputs/$1/metrics.json" ]; }

numbers() {  # the same 20 minutes for either network
  for seed in 0 1; do
    finished "$1/$seed" || run "+experiment=$2" data.root="$mnist" data.test_limit=2000 seed=$seed max_images="$3" run="$outputs/$1/$seed"
  done
}
objects() {  # 35 minutes for all five folds together
  for fold in 0 1 2 3 4; do
    finished "caltech/$fold" || run +experiment=caltech256 trainer=cpu network.size=small data.image_size=32 data.root="$caltech" \
      data.clutter="$clutter" data.fold=$fold max_images=120000 run="$outputs/caltech/$fold"
  done
}
scratches() {
  for share in 0.01 0.003; do
    finished "surface/$share" || run +experiment=progressive data=surface 'data.kinds=[scratch]' data.defect_share=$share \
      data.contamination=0.05 data.known_anomalies=50 data.test_images=200 max_images=30000 run="$outputs/surface/$share"
  done
}

(numbers mnist_progressive mnist_progressive 340000; scratches) &
(numbers mnist_dcgan mnist 720000; objects)
wait

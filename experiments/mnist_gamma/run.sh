#!/usr/bin/env bash
# All runs of the study, two side by side, one thread each. Usage, from the project's root:
#   bash experiments/mnist_gamma/run.sh FOLDER_OF_MNIST
set -euo pipefail
export OMP_NUM_THREADS=1
data=(data.root="$1")
python=.venv/bin/python

# gamma on protocol M: 500 known anomalies of all digits; gamma = 1 is AnoGAN on contaminated data
all_kinds() { "$python" run.py -m +experiment=mnist_gamma "${data[@]}" seed=0,1,2 model.gamma=1,0.7,0.5,0.3; }
# the same when only ones are known, and AnoGAN on clean data
one_kind() {
    "$python" run.py -m +experiment=mnist_gamma "${data[@]}" seed=0,1,2 model.gamma=0.7,0.5,0.3 'data.known_classes=[1]'
    "$python" run.py -m +experiment=mnist_gamma "${data[@]}" seed=0,1,2 model=anogan data.contamination=0
}

all_kinds & first=$!
one_kind & second=$!
wait "$first"
wait "$second"

#!/usr/bin/env bash
# The demo on three seeds, with and without the known anomalies, beside nearest neighbours; and `fused` with one kind hidden
# at a time. From the project's root: bash experiments/digits_demo/run.sh
set -euo pipefail
export OMP_NUM_THREADS=1
python=.venv/bin/python

for seed in 0 1 2; do "$python" experiments/digits_demo/nearest_neighbours.py seed=$seed; done
"$python" run.py -m name=digits_demo seed=0,1,2 model.gamma=0.5,1
for hidden in 0 1 2 3 4 5 6 7 9; do
    known=$(echo 0 1 2 3 4 5 6 7 9 | tr ' ' '\n' | grep -v "$hidden" | paste -sd,)
    "$python" run.py name=digits_hidden run=multirun/digits_hidden/without_$hidden "data.known_classes=[$known]" \
        max_images=32000 search=quick
done

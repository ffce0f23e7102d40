#!/usr/bin/env bash
# All runs of the study, two side by side, one thread each. From the project's root:
#   bash experiments/first_look/run.sh MNIST MAGNETIC_TILE MVTEC
set -euo pipefail
export OMP_NUM_THREADS=1
python=.venv/bin/python mnist=$1 tiles=$2 mvtec=$3 out=outputs/first_look
small=(max_images=48000 search=quick trainer.precision=bf16-mixed)
screw=(data=mvtec data.root="$mvtec" data.category=screw data.channels=1 data.mean_grey=128)

# what the data are, before anything is trained: the screw copy gives its defects away by brightness
"$python" run.py task=check data=mvtec data.root="$mvtec" data.category=screw data.channels=1 run=$out/check_screw
"$python" run.py task=check "${screw[@]}" run=$out/check_screw_mean_grey
"$python" run.py task=check data=magnetic_tile data.root="$tiles" run=$out/check_tiles

audits() { # how many of the hidden anomalies an audit puts in front; MNIST 8, 10 % hidden
    for seed in 0 1 2; do
        "$python" run.py +experiment=mnist_gamma data.root="$mnist" seed=$seed run=$out/mnist_$seed
        "$python" run.py task=audit checkpoint=$out/mnist_$seed/checkpoints/last.ckpt run=$out/audit_$seed
    done
    # the loop closed: what a person would confirm among the first 5 % is known to the next training
    "$python" experiments/first_look/confirm.py $out/audit_0/audit.csv 0.05 > $out/confirmed.csv
    "$python" run.py +experiment=mnist_gamma data.root="$mnist" data.known_list=$out/confirmed.csv run=$out/mnist_confirmed
    # the same for somebody who knows no anomaly at first: AnoGAN, an audit, and a second training
    "$python" run.py +experiment=mnist_gamma data.root="$mnist" model=anogan data.known_anomalies=0 run=$out/mnist_none
    "$python" run.py task=audit checkpoint=$out/mnist_none/checkpoints/last.ckpt run=$out/first_audit
    "$python" experiments/first_look/confirm.py $out/first_audit/audit.csv 0.1 > $out/confirmed_first.csv
    "$python" run.py +experiment=mnist_gamma data.root="$mnist" data.known_anomalies=0 data.known_list=$out/confirmed_first.csv \
        run=$out/mnist_learned
}

photographs() {
    "$python" run.py data=magnetic_tile data.root="$tiles" "${small[@]}" run=$out/tiles_semigan
    "$python" run.py "${screw[@]}" "${small[@]}" model=anogan data.known_anomalies=0 run=$out/screw_anogan
    "$python" run.py "${screw[@]}" "${small[@]}" data.split_defects=true run=$out/screw_semigan
    # the same tiles as a user with an odd layout has them
    "$python" experiments/first_look/tiles_as_csv.py "$tiles" > $out/tiles.csv
    "$python" run.py data=manifest data.manifest=$out/tiles.csv data.channels=1 "${small[@]}" max_images=16000 run=$out/manifest
}

audits & first=$!
photographs & second=$!
wait "$first"
wait "$second"

# new images: 200 of those that the tiles' run tested, as a plain folder
"$python" experiments/first_look/new_images.py $out/tiles_semigan/scores.csv 200 $out/new
"$python" run.py task=predict checkpoint=$out/tiles_semigan/checkpoints/last.ckpt data=folder data.root=$out/new run=$out/predict
"$python" experiments/first_look/collect.py $out

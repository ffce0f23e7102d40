#!/usr/bin/env bash
# First runs on photographs: Caltech-256 with a clutter folder, and a plain folder. From the project's root:
#   bash experiments/real_images/run.sh CALTECH256 CLUTTER FOLDER_WITH_NORMAL_AND_ANOMALOUS
set -euo pipefail
export OMP_NUM_THREADS=1
python=.venv/bin/python

"$python" run.py +experiment=caltech256 data.root="$1" data.clutter="$2" data.normal_classes='[touring-bike]' data.n_normal=null \
    data.image_size=32 data.known_anomalies=30 max_images=32000 search=quick run=outputs/real_images/caltech256
"$python" run.py data=folder data.root="$3" data.image_size=32 data.channels=1 max_images=32000 search=quick \
    run=outputs/real_images/folder

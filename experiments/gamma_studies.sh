#!/usr/bin/env bash
# The runs of a study, two side by side, one thread each; started again, it makes what is missing. From the project's root:
#   bash experiments/gamma_studies.sh gamma_x_contamination|known|losses|figures|collect FOLDER_OF_MNIST
set -euo pipefail
export OMP_NUM_THREADS=1
study=$1
both='data.known_classes=null,[1]' # all kinds known; only ones known
runs() {
    .venv/bin/python run.py -m name="$study" data.root="$root" hydra/launcher=joblib hydra.launcher.n_jobs=2 "$@"
}
root=$2
case $study in
gamma_x_contamination) runs +experiment=gamma_study +sweep=gamma_x_contamination "$both" seed=0,1,2 ;;
known) # 500 known ones, and gamma = 1, which uses none, are rows of gamma_x_contamination
    runs +experiment=gamma_study +sweep=known data.known_anomalies=10,60,2000 "$both" model.gamma=0.5 seed=0,1,2 ;;
losses) # nonsaturating is in gamma_x_contamination; a gradient penalty wants a critic without batch normalisation
    runs +experiment=gamma_study loss=hinge,least_squares model.gamma=1,0.5 data.known_classes=null seed=0,1,2
    runs +experiment=gamma_study loss=wasserstein model.discriminator.normalization=none model.gamma=1,0.5 \
        data.known_classes=null seed=0,1,2 ;;
figures) runs +experiment=mnist_gamma 'data.normal_classes=[0]' model.gamma=0.5 seed=0,1,2 ;;
collect) # tables and pictures of what is finished
    base=multirun/gamma_x_contamination python=.venv/bin/python
    "$python" experiments/gamma_studies.py gamma_x_contamination "$base"
    "$python" experiments/gamma_studies.py known multirun/known "$base"/data.contamination=0.1,*gamma={1,0.5},*
    "$python" experiments/gamma_studies.py losses multirun/losses "$base"/data.contamination=0.1,data.known_classes=null,*gamma={1,0.5},*
    "$python" experiments/figures/pixel_figures.py multirun/figures ;;
*) echo "no study $study" >&2; exit 1 ;;
esac

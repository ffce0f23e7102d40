"""Latent search: images per second and verdicts, beside AnoGAN's algorithm as published.

    python benchmarks/search.py +experiment=mnist data.root=FOLDER

trains a GAN and an encoder first (its run lies in outputs/search_benchmark, and is taken up again at a second start);
`checkpoint=FOLDER/checkpoints/last.ckpt` takes another one that has an encoder. `seconds=30` is measured per
configuration, `reference=8` images are searched one by one.

The reference searches one image at a time: 500 steps of torch's Adam with the published schedule, from one prior sample,
float32, eager, written down plainly below. Its speed is measured on a fixed few images, beside the bare forward and
backward passes; its AUROC comes from all images, searched by the same lines as one batch, which is shown to be the same
search. Everything runs in one process, the reference with the number of threads that suits it best. The threads of all
others are given by `threads=2`. The last line is one JSON object.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import l1_loss

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from semigan_pl.detector import load_detector
from semigan_pl.latent_search import LatentSearch, frozen
from semigan_pl.latent_search.descent import LBFGS, Adam
from semigan_pl.latent_search.freezing import settled

STEPS, LAMBDA, SEED = 500, 0.1, 0
RATES = ((0, 0.01), (200, 0.001), (300, 0.0005))
OWN = {"checkpoint": "", "seconds": "20", "reference": "8", "threads": "2", "compile": "0"}  # options of this file
PAIRS = 3  # times that each speed is measured, all in turn: the median counts


class Images(NamedTuple):
    """The test: as many normal as anomalous images."""

    pixels: Tensor  # (N, C, H, W)
    labels: Tensor  # (N,)


def reference(generator: Any, discriminator: Any, images: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """AnoGAN's search as published, for one image or, added up, for many: scores (N,) and final losses."""
    with torch.no_grad():
        targets = discriminator.features(images)
    z = z.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([z], fused=True)
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = [rate for start, rate in RATES if start <= step][-1]
        made = generator(z)
        residual = l1_loss(made, images, reduction="sum")
        discrimination = l1_loss(discriminator.features(made), targets, reduction="sum")
        (z.grad,) = torch.autograd.grad((1 - LAMBDA) * residual + LAMBDA * discrimination, z)
        optimizer.step()
    with torch.no_grad():
        made = generator(z)
        return anogan(images, made, targets, discriminator.features(made)), z.detach()


def anogan(images: Tensor, made: Tensor, targets: Tensor, features: Tensor) -> Tensor:
    """(1 - lambda) L_R + lambda L_D, (N,)."""
    return (1 - LAMBDA) * (images - made).abs().sum((1, 2, 3)) + LAMBDA * (targets - features).abs().sum(1)


def bare(generator: Any, discriminator: Any, z: Tensor, steps: int) -> float:
    """Seconds of a forward and a backward pass of both networks, and nothing else."""
    start = time.perf_counter()
    for _ in range(steps):
        z = z.detach().requires_grad_(True)
        torch.autograd.grad(discriminator.features(generator(z)).sum(), z)
    return (time.perf_counter() - start) / steps


def trained(typed: list[str]) -> Path:
    """The checkpoint of a run with an encoder, made here if there is none yet."""
    folder = Path("outputs/search_benchmark")
    if not (folder / "metrics.json").is_file():
        more = ["checkpoint=last"] if (folder / "checkpoints" / "last.ckpt").is_file() else []
        command = [sys.executable, str(ROOT / "run.py"), *typed, "model=semigan", "encoding=izi_f", f"run={folder}"]
        subprocess.run([*command, "data.test_limit=600", *more], check=True)
    return folder / "checkpoints" / "last.ckpt"


def load_images(typed: list[str]) -> Images:
    """300 normal images and 300 anomalies of the test set."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", overrides=[*typed, "data.test_limit=600", "data.outlier_share=0.5"])
    data = instantiate(config.data.module, _convert_="all")
    data.prepare_data()
    batches = list(data.test_dataloader())
    return Images(torch.cat([batch.images for batch in batches]), torch.cat([batch.labels for batch in batches]))


def configurations(search: LatentSearch) -> dict[str, LatentSearch]:
    """From the reference, batched, to the quickest: one thing after the other is changed."""
    paper = Adam([0.9, 0.999], 1e-8, {0: 0.01, 0.4: 0.001, 0.6: 0.0005})
    plain = replace(
        search, descent=paper, steps=STEPS, start="best", starts=1, restarts=1, keep_best=False, precision="float32"
    )
    plain = replace(plain, lambda_=LAMBDA, patience=None, compile=None, seed=SEED)
    early = replace(plain, patience=20, tolerance=1e-3)
    best = replace(early, starts=512, keep_best=True, patience=5, steps=100)
    quasi = replace(best, descent=LBFGS(8, 1e-4, {0: 1.0}), steps=15, patience=None)
    guess = replace(quasi, start="encoder", steps=5)
    return {
        "batched": plain,
        "leaving_early": early,
        "best_of_512": replace(best, descent=Adam([0.9, 0.999], 1e-8, {0: 0.1, 0.25: 0.05, 0.5: 0.02})),
        "quasi_newton": quasi,
        "encoder_start": guess,
        "bfloat16": replace(guess, precision="bfloat16"),
    }


def verdict(scores: Tensor, images: Images, losses: Tensor | None = None) -> dict[str, float]:
    """AUROC of the anogan score, and its mean, which is the final loss."""
    found = {"auroc": round(float(roc_auc_score(images.labels, scores)), 4)}
    return found if losses is None else found | {"loss": round(float(losses.mean()), 2)}


def rate(run: Callable[[Tensor], object], images: Images, seconds: float) -> float:
    """Images per second: as many of the images as take about so long, in a spread over all of them."""
    start = time.perf_counter()
    run(images.pixels[:16])
    n = round(16 * seconds / (time.perf_counter() - start))
    n = max(16, min(n, len(images.pixels)) // 16 * 16)
    chosen = images.pixels[torch.linspace(0, len(images.pixels) - 1, n).long()]
    start = time.perf_counter()
    run(chosen)
    return n / (time.perf_counter() - start)


def main() -> None:
    own = OWN | {k: v for k, _, v in (word.partition("=") for word in sys.argv[1:]) if k in OWN}
    typed = [word for word in sys.argv[1:] if word.partition("=")[0] not in OWN]
    module: Any = load_detector(own["checkpoint"] or trained(typed), "cpu").module
    images, threads, seconds = load_images(typed), int(own["threads"]), float(own["seconds"])
    layout = torch.contiguous_format  # for a single image quicker than channels_last
    networks = (settled(network).to(memory_format=layout) for network in (module.best_generator, module.discriminator))  # type: ignore[call-overload]
    generator, discriminator = networks
    z = generator.sample_latents(1, torch.Generator().manual_seed(SEED))  # type: ignore[operator]
    result: dict[str, Any] = {"threads": threads}

    few = torch.linspace(0, len(images.pixels) - 1, int(own["reference"])).long()
    step, alone = reference_speed(generator, discriminator, images.pixels[few], z, result)
    torch.set_num_threads(threads)
    parts = [reference(generator, discriminator, part, z.expand(len(part), -1))[0] for part in images.pixels.split(60)]
    scores = torch.cat(parts)
    result["reference"] |= verdict(scores, images, scores)
    result["reference_batched_differs_by"] = float(((scores[few] - alone) / alone).abs().max())
    print(f"reference: {step * 1e3:.2f} ms a step, {result['reference']}", flush=True)

    runs: dict[str, Callable[[Tensor], Tensor]] = {}
    for name, search in configurations(module.search).items():
        runs[name] = searched(module, search)
    runs["f_anogan"] = guessed(module, generator, discriminator)
    with frozen(module):
        for name, run in runs.items():
            found = run(images.pixels)
            result[name] = verdict(found, images, None if name == "f_anogan" else found)
        measured = [{name: rate(run, images, seconds / PAIRS) for name, run in runs.items()} for _ in range(PAIRS)]
        torch.set_num_threads(result["reference"]["threads"])
        again = reference_rate(generator, discriminator, images.pixels[few], z)  # before and after: one machine, one run
    reference_speed_ = statistics.mean([result["reference"]["images_per_second"], again])
    result["reference"]["images_per_second"] = round(reference_speed_, 3)
    for name in runs:
        speed = statistics.median(pair[name] for pair in measured)
        result[name] |= {"images_per_second": round(speed, 1), "speedup": round(speed / reference_speed_)}
        print(f"{name}: {result[name]}", flush=True)
    fastest = max((n for n in runs if n != "f_anogan"), key=lambda name: result[name]["speedup"])
    result |= {"fastest": fastest, "speedup": result[fastest]["speedup"], "auroc": result[fastest]["auroc"]}
    result["auroc_reference"] = result["reference"]["auroc"]
    print(json.dumps(result))


def reference_speed(
    generator: Any, discriminator: Any, images: Tensor, z: Tensor, result: dict[str, Any]
) -> tuple[float, Tensor]:
    """Seconds a step of the reference, with as many threads as suit it best, and its scores of these images."""
    speeds = {}
    for threads in (1, torch.get_num_threads()):
        torch.set_num_threads(threads)
        speeds[threads] = reference_rate(generator, discriminator, images[:1], z)
    best = max(speeds, key=lambda threads: speeds[threads])
    torch.set_num_threads(best)
    start = time.perf_counter()
    scores = torch.cat([reference(generator, discriminator, image[None], z)[0] for image in images])
    per_image = (time.perf_counter() - start) / len(images)
    floor = bare(generator, discriminator, z, STEPS)
    result["reference"] = {
        "images_per_second": 1 / per_image,
        "threads": best,
        "ms_per_step": round(per_image / STEPS * 1e3, 3),
        "ms_per_bare_step": round(floor * 1e3, 3),
    }
    return per_image / STEPS, scores


def reference_rate(generator: Any, discriminator: Any, images: Tensor, z: Tensor) -> float:
    start = time.perf_counter()
    for image in images:
        reference(generator, discriminator, image[None], z)
    return len(images) / (time.perf_counter() - start)


def searched(module: Any, search: LatentSearch) -> Callable[[Tensor], Tensor]:
    """The search of a module with other settings, prepared as it is for a run of many images."""
    encoder = None if module.encoding is None else module.encoding.encoder
    shape = None

    def run(pixels: Tensor) -> Tensor:
        nonlocal shape
        if shape is None:
            shape = search.prepare(module.best_generator, module.discriminator, tuple(pixels.shape[1:]), encoder)
        found = shape(pixels)
        return search.loss(found.residual, found.discrimination)

    return run


def guessed(module: Any, generator: Any, discriminator: Any) -> Callable[[Tensor], Tensor]:
    """f-AnoGAN's score: the encoder's guess, nothing searched."""
    encoder = settled(module.encoding.encoder)

    @torch.no_grad()
    def run(pixels: Tensor) -> Tensor:
        scores = []
        for part in pixels.split(64):
            made = generator(encoder(part))
            features = discriminator.features(part) - discriminator.features(made)
            scores.append((part - made).square().mean((1, 2, 3)) + module.encoding.kappa * features.square().mean(1))
        return torch.cat(scores)

    return run


if __name__ == "__main__":
    main()

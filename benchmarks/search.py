"""Latent search: images per second and verdicts, beside AnoGAN's algorithm as published.

    python benchmarks/search.py +experiment=mnist data.root=FOLDER

trains a GAN and an encoder first (its run lies in outputs/search_benchmark, and is taken up again at a second start);
`checkpoint=FOLDER/checkpoints/last.ckpt` takes another one that has an encoder. `images=600`, half of them anomalous,
are searched by each configuration, some of them again for `seconds=20` to see how fast it is; `reference=8` of them are
searched one by one.

The reference searches one image at a time: 500 steps of Adam with the published schedule, from one prior sample,
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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from semigan_pl.detector import load_detector
from semigan_pl.latent_search import LatentSearch, frozen
from semigan_pl.latent_search.descent import LBFGS, Adam
from semigan_pl.latent_search.freezing import settled

ROOT = Path(__file__).resolve().parents[1]
STEPS, LAMBDA, SEED = 500, 0.1, 0
RATES = ((0, 0.01), (200, 0.001), (300, 0.0005))
OWN = {"checkpoint": "", "images": "600", "seconds": "20", "reference": "8", "threads": "2"}  # options of this file
PAIRS = 3  # times that each speed is measured, all in turn: the median counts


class Images(NamedTuple):
    """The test: as many normal as anomalous images."""

    pixels: Tensor  # (N, C, H, W)
    labels: Tensor  # (N,)


def reference(generator: Any, discriminator: Any, images: Tensor, z: Tensor) -> Tensor:
    """AnoGAN's search as published, for one image or, added up, for many: scores (N,)."""
    with torch.no_grad():
        targets = discriminator.features(images)
    z = z.clone().requires_grad_(True)
    mean, square = torch.zeros_like(z), torch.zeros_like(z)
    for step in range(STEPS):
        made = generator(z)
        residual = l1_loss(made, images, reduction="sum")
        discrimination = l1_loss(discriminator.features(made), targets, reduction="sum")
        (gradient,) = torch.autograd.grad((1 - LAMBDA) * residual + LAMBDA * discrimination, z)
        with torch.no_grad():  # Adam by hand: the step of torch's own costs 0.3 ms of Python, an eighth of the whole
            mean.lerp_(gradient, 0.1)
            square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            denominator = (square / (1 - 0.999 ** (step + 1))).sqrt_().add_(1e-8)
            z.addcdiv_(mean, denominator, value=-rate_of(step) / (1 - 0.9 ** (step + 1)))
    with torch.no_grad():
        made = generator(z)
        return anogan(images, made, targets, discriminator.features(made))


def rate_of(step: int) -> float:
    return [rate for start, rate in RATES if start <= step][-1]


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


def load_images(typed: list[str], n: int) -> Images:
    """As many normal images as anomalies of the test set."""
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", overrides=[*typed, f"data.test_limit={n}", "data.outlier_share=0.5"])
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
    quasi = replace(best, descent=LBFGS(8, 1e-4, {0: 1.0}), steps=25, patience=None)
    guess = replace(quasi, start="encoder", steps=12)
    return {
        "batched": plain,
        "leaving_early": early,
        "best_of_512": replace(best, descent=Adam([0.9, 0.999], 1e-8, {0: 0.1, 0.25: 0.05, 0.5: 0.02})),
        "quasi_newton": quasi,
        "encoder_start": guess,
        "bfloat16": replace(guess, precision="bfloat16"),
        "bfloat16_few_steps": replace(guess, precision="bfloat16", steps=3),
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
    n = max(64, min(n, len(images.pixels)) // 16 * 16)
    chosen = images.pixels[torch.linspace(0, len(images.pixels) - 1, n).long()]
    start = time.perf_counter()
    run(chosen)
    return n / (time.perf_counter() - start)


class Reference(NamedTuple):
    """The published search in copies of the networks that lie in memory as a single image likes them best."""

    generator: Any
    discriminator: Any
    z: Tensor  # where it begins, (1, latent_dim)

    @classmethod
    def of(cls, module: Any) -> Reference:
        pair: list[Any] = [settled(network) for network in (module.best_generator, module.discriminator)]
        generator, discriminator = (network.to(memory_format=torch.contiguous_format) for network in pair)
        return cls(generator, discriminator, generator.sample_latents(1, torch.Generator().manual_seed(SEED)))

    def scores(self, images: Tensor, at_once: int) -> Tensor:
        return torch.cat([reference(*self[:2], part, self.z.expand(len(part), -1)) for part in images.split(at_once)])

    def rate(self, images: Tensor) -> float:
        """Images per second, one by one."""
        start = time.perf_counter()
        self.scores(images, 1)
        return len(images) / (time.perf_counter() - start)

    def threads(self, image: Tensor, most: int) -> int:
        """How many suit it best."""
        rates = {}
        for threads in range(1, most + 1):
            torch.set_num_threads(threads)
            rates[threads] = self.rate(image)
        return max(rates, key=lambda threads: rates[threads])


def published(module: Any, images: Images, n: int, threads: int) -> tuple[dict[str, Any], Callable[[], float]]:
    """What the reference finds, how fast it is, and what measures that again."""
    plain = Reference.of(module)
    few = torch.linspace(0, len(images.pixels) - 1, n).long()
    own = plain.threads(images.pixels[:1], threads)

    def again() -> float:
        torch.set_num_threads(own)
        return plain.rate(images.pixels[few])

    rates = [again(), again()]
    alone, step = plain.scores(images.pixels[few], 1), bare(plain.generator, plain.discriminator, plain.z, STEPS)
    torch.set_num_threads(threads)
    scores = plain.scores(images.pixels, 60)
    found = {
        **verdict(scores, images, scores),
        "images_per_second": max(rates),
        "threads": own,
        "ms_per_step": round(1e3 / max(rates) / STEPS, 3),
        "ms_per_bare_step": round(step * 1e3, 3),
        "batched_differs_by": float(((scores[few] - alone) / alone).abs().max()),
    }
    return found, again


def main() -> None:
    own = OWN | {k: v for k, _, v in (word.partition("=") for word in sys.argv[1:]) if k in OWN}
    typed = [word for word in sys.argv[1:] if word.partition("=")[0] not in OWN]
    module: Any = load_detector(own["checkpoint"] or trained(typed), "cpu").module
    images, threads = load_images(typed, int(own["images"])), int(own["threads"])
    result: dict[str, Any] = {"threads": threads, "images": len(images.pixels)}
    result["reference"], again = published(module, images, int(own["reference"]), threads)
    print(f"reference: {result['reference']}", flush=True)
    shape = tuple(images.pixels.shape[1:])
    runs = {name: searched(module, search, shape) for name, search in configurations(module.search).items()}
    runs["f_anogan"] = guessed(module)
    with frozen(module):
        for name, run in runs.items():
            found = run(images.pixels)
            result[name] = verdict(found, images, None if name == "f_anogan" else found)
            print(f"{name}: {result[name]}", flush=True)
        seconds = float(own["seconds"]) / PAIRS
        rates = [{name: rate(run, images, seconds) for name, run in runs.items()} for _ in range(PAIRS)]
    slowest = statistics.mean([result["reference"]["images_per_second"], again()])  # before and after all others
    result["reference"]["images_per_second"] = round(slowest, 3)
    for name in runs:
        speed = statistics.median(turn[name] for turn in rates)
        result[name] |= {"images_per_second": round(speed, 1), "speedup": round(speed / slowest)}
        print(f"{name}: {result[name]}", flush=True)
    fastest = max((name for name in runs if name != "f_anogan"), key=lambda name: result[name]["speedup"])
    result |= {"fastest": fastest, "speedup": result[fastest]["speedup"], "auroc": result[fastest]["auroc"]}
    result["auroc_reference"] = result["reference"]["auroc"]
    print(json.dumps(result))


def searched(module: Any, search: LatentSearch, shape: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    """The search of a module with other settings, prepared as it is for a run of many images."""
    encoder = None if module.encoding is None else module.encoding.encoder
    prepared = search.prepare(module.best_generator, module.discriminator, shape, encoder)

    def run(pixels: Tensor) -> Tensor:
        found = prepared(pixels)
        return found.loss

    return run


def guessed(module: Any) -> Callable[[Tensor], Tensor]:
    """f-AnoGAN's score: the encoder's guess, nothing searched."""
    networks = (module.best_generator, module.discriminator, module.encoding.encoder)
    generator, discriminator, encoder = (settled(network) for network in networks)
    features: Any = discriminator.features

    @torch.no_grad()
    def run(pixels: Tensor) -> Tensor:
        scores = []
        for part in pixels.split(64):
            made = generator(encoder(part))
            difference = features(part) - features(made)
            scores.append((part - made).square().mean((1, 2, 3)) + module.encoding.kappa * difference.square().mean(1))
        return torch.cat(scores)

    return run


if __name__ == "__main__":
    main()

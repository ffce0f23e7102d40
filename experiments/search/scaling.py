"""How time and memory of a search grow: with the images, with the resolution, with the working set.

    python experiments/search/scaling.py checkpoint=FOLDER/checkpoints/last.ckpt data.root=FOLDER_OF_MNIST

Every measurement is a process of its own (one_search.py). Images and working sets: MNIST's test images, and the
checkpoint's networks (random ones without a checkpoint). Resolutions: random networks, images that they draw. Adds to
scaling.csv what is not in it yet, and draws scaling.png. Other options are run.py's, for images and working sets.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rows import Rows, listed  # and nothing heavy: a child would begin with this process' peak memory

HERE = Path(__file__).parent
KEYS = ("part", "network", "px", "images", "working_set", "steps", "patience")
VALUES = (
    *("threads", "prepare_seconds", "seconds", "ms_per_image", "loss", "rows", "bytes_per_search"),
    *("before_mib", "peak_mib", "expected_mib"),
)
NETWORKS = {"DCGAN": ["data=digits"], "growing": ["+experiment=progressive", "data=digits"]}  # digits: none are read
LARGEST_DCGAN = 128  # px
IMAGES = {16: 64, 32: 64, 64: 64, 128: 32, 256: 16, 512: 16, 1024: 16}  # by resolution
STARTS = 16  # prior samples to start from: preparing them is measured by itself
PATIENCE = 5
SETS_OF_IMAGES, FEWEST = 4, 64  # working sets are filled so many times, with at least so many images


class Job(NamedTuple):
    """One measurement."""

    part: str
    network: str
    px: int
    images: int
    working_set: str
    steps: int
    patience: str
    overrides: list[str]

    @property
    def command(self) -> list[str]:
        search = {"steps": self.steps, "working_set": self.working_set, "patience": self.patience, "starts": STARTS}
        return [
            sys.executable,
            str(HERE / "one_search.py"),
            *("--images", str(self.images), "--through", "predict" if self.part == "images" else "search"),
            *(f"search.{name}={value}" for name, value in search.items()),
            *self.overrides,
        ]

    @property
    def row(self) -> dict[str, object]:
        """What says in the table which measurement it is."""
        return {key: getattr(self, key) for key in KEYS}


def jobs(options: argparse.Namespace, overrides: list[str]) -> Iterator[Job]:
    """All measurements, the short ones first."""
    mnist = ["+experiment=mnist", *overrides]
    few, many = options.steps or 5, options.steps or 25
    for n in options.images:
        yield Job("images", "DCGAN", 32, n, "auto", few, "null", mnist)
    for name, network in NETWORKS.items():
        for px in options.px:
            if name == "growing" or px <= LARGEST_DCGAN:
                size = [*network, f"data.image_size={px}"]
                yield Job("resolution", name, px, IMAGES[px], "auto", few, "null", size)
    for patience in ("null", str(PATIENCE)):
        for size_of_set in options.sets:
            n = max(FEWEST, SETS_OF_IMAGES * size_of_set)
            yield Job("working_set", "DCGAN", 32, n, str(size_of_set), many, patience, mnist)


def measure(job: Job, rows: Rows) -> None:
    """Runs one and keeps what it says; one that fails is named and left out."""
    done = subprocess.run(job.command, capture_output=True, text=True)
    name = ", ".join(f"{key} {value}" for key, value in job.row.items())
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        print(f"{name}: left out, it ended with {done.returncode}: {last}", flush=True)
        return
    found = json.loads(done.stdout.strip().splitlines()[-1])
    rows.add(job.row | found)
    print("{}: {seconds} s, {ms_per_image} ms an image, {peak_mib} MiB".format(name, **found), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=listed, default=[100, 300, 1000, 3000, 10000])
    parser.add_argument("--px", type=listed, default=[16, 32, 64, 128, 256, 1024])
    parser.add_argument("--sets", type=listed, default=[1, 4, 16, 64, 256, 1024], help="working sets")
    parser.add_argument("--steps", type=int, help="of all searches; otherwise 5, and 25 for working sets")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of scaling.csv and scaling.png")
    options, overrides = parser.parse_known_args()
    rows = Rows(options.out / "scaling.csv", KEYS, VALUES)
    for job in jobs(options, overrides):
        if job.row not in rows:
            measure(job, rows)
    from draw import draw_scaling

    draw_scaling(options.out)


if __name__ == "__main__":
    main()

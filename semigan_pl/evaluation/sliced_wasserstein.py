"""Sliced Wasserstein distance between two sets of images, by resolution (Karras et al. 2018, section 5).

Each band of a Laplacian pyramid is compared by itself: small patches of either set are projected to random lines, on
which the optimal transport is a matter of sorting. Low values at 16 px say that the large structures agree, low ones
at full size that the finest details do. Nothing is learned and nothing downloaded.

From memory of the paper and of its public reference: the pyramid down to 16 px with the 5 x 5 binomial filter and
mirrored borders, patches of 7 x 7 pixels, mean 0 and deviation 1 per channel of *each set by itself* (brightness and
contrast that are off do not count), mean absolute difference. The paper takes 128 patches of each of 16,384 images,
512 directions, and shows the values times 1000.

Ours: both sets are cut at the same places, so that equal sets are at 0 and the distance is symmetric to the bit; images
below 32 px are one level, patches are smaller where images are; sizes need not halve (the half of 77 px is 39).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

COARSEST = 16  # px, the last level's size at least
PATCH = 7  # px
FLAT = 1e-6  # deviations below it are rounding: sets without any contrast are not blown up to noise
BLOCK = 2**22  # values of the images whose pyramids are in memory at a time
BINOMIAL = [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16]


def sliced_wasserstein_by_resolution(
    a: Tensor, b: Tensor, patches: int, directions: int, noise: torch.Generator
) -> dict[int, float]:
    """The distance of each level of the pyramid, the finest first, by its height in pixels.

    Args:
        a, b: equally many images, (N, C, H, W) in [-1, 1], any C, H and W.
        patches: cut out of every level of every image.
        directions: of the projections.
        noise: draws the places of the patches and the directions, on the CPU.

    Raises ValueError for sets of unequal shape: sorted samples can be compared one by one only if equally many.
    """
    if a.shape != b.shape or len(a) == 0:
        raise ValueError(
            f"sets of images of shapes {tuple(a.shape)} and {tuple(b.shape)} have no sliced Wasserstein distance here: "
            "give equally many images of equal size"
        )
    sizes = [tuple(level.shape[2:]) for level in laplacian_pyramid(a[:1])]
    places = [_places(size, (len(a), patches), noise) for size in sizes]
    return {
        size[0]: sliced_wasserstein(in_a, in_b, directions, noise)
        for size, in_a, in_b in zip(sizes, _descriptors(a, places), _descriptors(b, places), strict=True)
    }


def sliced_wasserstein(a: Tensor, b: Tensor, directions: int, noise: torch.Generator) -> float:
    """Mean over random unit vectors of the 1-D Wasserstein distance W_1 of the projected points. (N, D), (N, D)."""
    lines = torch.randn(directions, a.shape[1], generator=noise).to(a)
    lines /= lines.norm(dim=1, keepdim=True)
    in_order = [(lines @ points.T).sort(dim=1).values for points in (a, b)]  # (directions, N)
    return float((in_order[0] - in_order[1]).abs().mean())


def laplacian_pyramid(images: Tensor) -> list[Tensor]:
    """What each halving loses, the finest level first, and at last what is left: 16 to 31 px, or the images themselves.

    (N, C, H, W) -> levels of (N, C, H / 2^n, W / 2^n), rounded up. Adding `enlarge(level n + 1)` gives back level n.
    """
    levels = []
    while min(images.shape[2:]) >= 2 * COARSEST:
        smaller = shrink(images)
        levels.append(images - enlarge(smaller, (images.shape[2], images.shape[3])))
        images = smaller
    return [*levels, images]


def shrink(images: Tensor) -> Tensor:
    """Every second pixel of the blurred images. (N, C, H, W) -> (N, C, ceil(H / 2), ceil(W / 2))."""
    return _blur(images)[..., ::2, ::2]


def enlarge(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The size before `shrink`: zeros between the pixels, then a blur that makes up for them."""
    sparse = images.new_zeros(*images.shape[:2], *size)
    sparse[..., ::2, ::2] = images
    return 4 * _blur(sparse)


def _blur(images: Tensor) -> Tensor:
    """The 5 x 5 binomial filter; mirrored at the borders, the border pixels not doubled.

    Sums of shifted images: a convolution of one channel takes 25 times the memory on a CPU, and longer (measured).
    """
    height, width = images.shape[2:]
    padded = pad(images, (2, 2, 2, 2), mode="reflect")
    rows = torch.stack([weight * padded[:, :, n : n + height] for n, weight in enumerate(BINOMIAL)]).sum(0)
    return torch.stack([weight * rows[..., n : n + width] for n, weight in enumerate(BINOMIAL)]).sum(0)


def _places(size: tuple[int, ...], count: tuple[int, int], noise: torch.Generator) -> Tensor:
    """Upper left corners of the patches, (2, images, patches): rows and columns."""
    side = min(PATCH, *size)
    return torch.stack([torch.randint(length - side + 1, count, generator=noise) for length in size])


def _descriptors(images: Tensor, places: list[Tensor]) -> list[Tensor]:
    """The patches of every level, normalised per channel over the whole set; (images * patches, C * 7 * 7) each."""
    size = max(1, BLOCK // images[0].numel())
    blocks = zip(images.split(size), *(corners.split(size, dim=1) for corners in places), strict=True)
    patches = [list(map(_cut, laplacian_pyramid(block), corners)) for block, *corners in blocks]
    found = []
    for level in zip(*patches, strict=True):
        cut = torch.cat(level)
        deviation, mean = torch.std_mean(cut, (0, 2, 3), correction=0, keepdim=True)
        found.append(((cut - mean) / deviation.clamp(min=FLAT)).flatten(1))
    return found


def _cut(level: Tensor, corners: Tensor) -> Tensor:
    """Patches at `corners` (2, images, patches) of images (images, C, H, W); (images * patches, C, side, side)."""
    side = min(PATCH, *level.shape[2:])
    windows = level.unfold(2, side, 1).unfold(3, side, 1)  # a view, (images, C, rows, columns, side, side)
    rows, columns = corners.flatten(1).to(level.device)
    image = torch.arange(len(level), device=level.device).repeat_interleave(corners.shape[2])
    return windows[image, :, rows, columns]

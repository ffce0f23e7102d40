"""What is wrong with the data of a run and what to do about it, a sentence each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from semigan_pl.data.datamodule import AnomalyDataModule
from semigan_pl.data.survey import Survey, area_scale
from semigan_pl.data.transforms import ImageFormat
from semigan_pl.tasks.findings import STATISTICS, Comparison, Copies, Difference, Findings

MUCH_LARGER, MUCH_SMALLER = 8.0, 0.5  # than data.image_size, by the side of an image
SMALL_SHARE = 0.1  # of the masks may cover less than a pixel
# cue -> the statistics that show it; a cue gets one warning and one remedy
CUES = {
    "brightness": ["mean"],
    "contrast": ["contrast"],
    "the size and shape of images": ["width", "height", "aspect"],
    "how files were saved": ["file_size"],
}
REMEDIES = {
    "brightness": "scale it away with data.mean_grey=128",
    "contrast": "take all images in the same light, or try data.mean_grey=128, which scales contrast along",
    "the size and shape of images": "cut and scale all images to one size by the same steps",
    "how files were saved": "check that all were saved in the same format and quality",
}
BEYOND_MEAN_GREY = {  # where data.mean_grey is set already
    "brightness": "what is left comes from pixels cut off at white: lower data.mean_grey",
    "contrast": "take all images in the same light",
}


def warnings(data: AnomalyDataModule, findings: Findings) -> list[str]:
    """What should be put right before anybody trains, the worst first."""
    return [
        *_about_copies(data, findings.copies),
        *_about_broken(data, findings),
        *_about_shortcuts(findings.comparisons, data.image_format),
        *_about_masks(findings, data.image_format),
        *_about_sizes(findings, data.image_format),
    ]


def shrinkage(found: Survey, image_format: ImageFormat) -> np.ndarray:
    """How many pixels of an image's side become one of the network's image, (n,)."""
    shrunk: np.ndarray = area_scale(found.column("width"), found.column("height"), image_format) ** -0.5
    return shrunk


def _about_copies(data: AnomalyDataModule, copies: list[Copies]) -> Iterator[str]:
    def named(groups: list[Copies]) -> str:
        example = " and ".join(data.source.paths[position] for position in groups[0].positions[:2])
        return f"{len(groups):,} group{'s' if len(groups) > 1 else ''} of identical images (such as {example})"

    if leaks := [group for group in copies if group.is_leak]:
        yield f"{named(leaks)} on both sides of training and test: the test is not unseen; remove the copies"
    if contradictions := [group for group in copies if group.is_contradictory]:
        yield f"{named(contradictions)} labelled both normal and anomalous: keep the one whose label is right"


def _about_broken(data: AnomalyDataModule, findings: Findings) -> Iterator[str]:
    broken, masks = findings.survey.broken, findings.masks
    if broken and not data.skip_broken:
        yield (
            f"{len(broken):,} of {len(data.used):,} images cannot be read (such as {next(iter(broken.values()))}):"
            " repair or remove them, or go on without them with data.skip_broken=true"
        )
    if masks and masks.broken:
        yield (
            f"the masks of {len(masks.broken):,} test images do not fit or cannot be read (such as that of"
            f" {next(iter(masks.broken.values()))}): repair or remove them"
        )


def _about_shortcuts(comparisons: list[Comparison], image_format: ImageFormat) -> Iterator[str]:
    remedies = REMEDIES if image_format.mean_grey is None else REMEDIES | BEYOND_MEAN_GREY
    for comparison in comparisons:
        for cue, found in _cues(comparison).items():
            numbers = " and ".join(
                f"{STATISTICS[name]} alone (AUROC {separation.strength:.3f}, median {first:,.5g} against {second:,.5g})"
                for name, (separation, (first, second)) in found.items()
            )
            verb = "separates" if len(found) == 1 else "separate"
            _, n_first, n_second = next(iter(found.values())).separation
            yield (
                f"{numbers} {verb} {comparison.effect} ({n_first:,} and {n_second:,}):"
                f" {comparison.consequence.format(cue=cue)}; {remedies[cue]}"
            )


def _cues(comparison: Comparison) -> dict[str, dict[str, Difference]]:
    """The shortcuts by cue. Larger images make larger files: then size is the cue, and not how they were saved."""
    shortcuts = comparison.shortcuts
    cues = {cue: {name: shortcuts[name] for name in names if name in shortcuts} for cue, names in CUES.items()}
    if cues["the size and shape of images"]:
        del cues["how files were saved"]
    return {cue: found for cue, found in cues.items() if found}


def _about_masks(findings: Findings, image_format: ImageFormat) -> Iterator[str]:
    if not (findings.masks and findings.masks.areas):
        return
    areas, n_lost = np.array(list(findings.masks.areas.values())), len(findings.masks.lost)
    if n_lost:
        yield (
            f"data.resize={image_format.resize} cuts off the defects of {n_lost:,} of {len(areas):,} test images"
            " altogether: take data.resize=pad or stretch"
        )
    if np.mean(areas < 1) > SMALL_SHARE:
        yield (
            f"the marked defects of {np.sum(areas < 1):,} of {len(areas):,} test images cover less than one pixel at"
            f" data.image_size={image_format.image_size} (median {np.median(areas):.2g}): they vanish; raise"
            " data.image_size"
        )


def _about_sizes(findings: Findings, image_format: ImageFormat) -> Iterator[str]:
    size, shrunk = image_format.image_size, float(np.median(shrinkage(findings.survey, image_format)))
    knows_defects = findings.masks and findings.masks.areas  # then these say what vanishes
    if shrunk > MUCH_LARGER and not knows_defects:
        yield (
            f"images are {shrunk:.0f} times as large as data.image_size={size} (median): a defect smaller than"
            f" {shrunk:.0f} x {shrunk:.0f} px of the original vanishes; raise data.image_size, or cut images into"
            " pieces"
        )
    if shrunk < MUCH_SMALLER:
        yield (
            f"images are blown up {1 / shrunk:.1f} times to data.image_size={size} (median): that costs time and shows"
            " no more; lower data.image_size"
        )

"""ImageNet-9: its nine classes, and which of ImageNet's 1,000 classes belong to each.

Class k is what WordNet 3.0 has below the k-th of nine synsets (dog before carnivore, for a dog is
both): dog n02084071, bird n01503061, wheeled vehicle n04576211, reptile n01661091, carnivore
n02075296, insect n02159955, musical instrument n03800933, primate n02469914, fish n02512053. Of
those 386 classes the release (MadryLab/backgrounds_challenge at 46d224b) leaves out 16, and so does
this table: game birds (80-86), Italian greyhound and whippet (171, 172), domestic cats (281-285),
golf cart (575) and mobile home (660). 370 are left.
"""

import numpy as np
from numpy.typing import NDArray

CLASSES = (
    "00_dog",
    "01_bird",
    "02_wheeled vehicle",
    "03_reptile",
    "04_carnivore",
    "05_insect",
    "06_musical instrument",
    "07_primate",
    "08_fish",
)
"""Names of the class folders, in the order of the labels; two have a space."""
VARIANTS = (
    "original",
    "mixed_same",
    "mixed_rand",
    "mixed_next",
    "only_fg",
    "no_fg",
    "only_bg_b",
    "only_bg_t",
)
"""Variants of the test images: with another background (of the same class, of a random one, of the
next one), without background, without foreground (its shape black, its box black, its box filled
with background)."""
MEAN, STD = (0.4717, 0.4499, 0.3837), (0.26, 0.2516, 0.2575)
"""Mean and deviation of each channel, for models of nine classes."""
IMAGENET = 1000
"""ImageNet-1k's classes, numbered in the order of their WordNet ids."""
INDICES = (
    "151-170 173-268",
    "7-24 87-100 127-146",
    "407 408 428 436 444 468 511 547 555 561 565 569 573 586 603 609 612 627 656 661 665 670 671 "
    "675 690 705 717 734 751 757 791 802 803 817 820 829 847 864 866 867 870 880",
    "33-68",
    "269-280 286-299 356-362 387 388",
    "300-326",
    "401 402 420 432 486 494 513 541 546 558 566 577 579 593 594 641 642 683 684 687 699 776 822 "
    "875 881 889",
    "365-384",
    "0-6 389-397",
)
"""For each class, which of ImageNet-1k's 1,000 it is made of."""


def of_imagenet() -> NDArray[np.int64]:
    """(1000,) the class of each of ImageNet-1k's; -1: none, which counts as a wrong answer."""
    result = np.full(IMAGENET, -1)
    for label, text in enumerate(INDICES):
        for part in text.split():
            first, _, last = part.partition("-")
            result[int(first) : int(last or first) + 1] = label
    return result

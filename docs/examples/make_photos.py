"""Write 1,797 digits as images: photos/CAMERA/CLASS/NUMBER.png, with three cameras that differ."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

CAMERAS = {"bright": (1.0, 0.0), "dim": (0.5, 0.1), "inverted": (-1.0, 1.0)}  # factor, offset

digits = load_digits()
for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
    camera = list(CAMERAS)[number % 3]
    factor, offset = CAMERAS[camera]
    pixels = np.uint8(255 * np.clip(factor * image / 16 + offset, 0, 1))
    folder = Path("photos", camera, str(label))
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).resize((32, 32)).save(folder / f"{number}.png")

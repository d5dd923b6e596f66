"""Images turned by an angle, as DomainBed turns them."""

import numpy as np

from domainbed_adapters.dealing import Images
from domainbed_adapters.mnist_files import FILES, Digits
from oodbench.data.cache import cached


def rotate(images: Images, angle: float) -> Images:
    """Turn (n, height, width) images counter-clockwise, bilinearly, dark where nothing was.

    The same bytes as ``PIL.Image.rotate`` of each, which is what torchvision calls: four images at
    a time, as the four bands of one, which PIL treats alike.
    """
    from PIL import Image

    n, height, width = images.shape
    padded = np.concatenate([images, np.zeros((-n % 4, height, width), np.uint8)])
    banded = np.ascontiguousarray(padded.reshape(-1, 4, height, width).transpose(0, 2, 3, 1))
    turned = np.empty_like(banded)
    for i, four in enumerate(banded):
        image = Image.frombytes("CMYK", (width, height), four.tobytes())
        turned[i] = image.rotate(angle, Image.Resampling.BILINEAR)
    return turned.transpose(0, 3, 1, 2).reshape(-1, height, width)[:n]


def rotated_mnist(digits: Digits, angle: int) -> Images:
    """All of MNIST turned by ``angle``, (70000, 28, 28): computed once on a machine, then mapped.

    Args:
        digits: Verified, so that the files' hashes stand for their content.
        angle: Angle in degrees.
    """
    import PIL

    if angle == 0:
        return digits.images
    key = [sorted(FILES.values()), angle, PIL.__version__]
    return cached(f"mnist-{angle}-degrees", key, lambda: rotate(digits.images, angle))

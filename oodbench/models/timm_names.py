"""The names of timm's models: timm.resnet50, timm.resnet50.ram_in1k, ..."""

from difflib import get_close_matches
from functools import lru_cache

from oodbench.errors import RequestError
from oodbench.models.spec import ModelSpec
from oodbench.models.timm_models import PREFIX, TIMM_OPTIONS, TimmModel, timm_package

FAMILY = ModelSpec(
    f"{PREFIX}NAME",
    lambda *shape, **options: NotImplemented,
    options=TIMM_OPTIONS,
    summary="Any architecture of timm, with any of its weights: oodbench models PART lists those "
    "with this part in their names; pip install 'oodbench[timm]'.",
)
"""How all of them are listed."""
NEAR = 5
"""Names that an unknown one may have been meant to be."""


@lru_cache
def find(name: str) -> ModelSpec | None:
    """The model of this name, if it begins as timm's do.

    Raises:
        RequestError: If timm is not installed, or has no such architecture or weights.
    """
    if not name.startswith(PREFIX):
        return None
    timm = timm_package()
    architecture, _, tag = name.removeprefix(PREFIX).partition(".")
    if not timm.is_model(architecture):
        raise RequestError(f"timm has no model {architecture!r}.{_near(architecture)}")
    tags = [n.partition(".")[2] for n in timm.get_arch_pretrained_cfgs(architecture)]
    if tag and tag not in tags:
        raise RequestError(
            f"timm has no weights {tag!r} of {architecture}. It has {', '.join(tags) or 'none'}."
        )
    return TimmModel(architecture, tag).spec()


def _near(architecture: str) -> str:
    """A sentence of the names that this one may have been meant to be."""
    names = timm_package().list_models()
    parts = sorted((n for n in names if len(architecture) > 3 and architecture in n), key=len)
    near = [*get_close_matches(architecture, names, NEAR), *parts][:NEAR]
    search = "oodbench models PART lists the names with a part in common."
    return f" Did you mean {' or '.join(near)}? {search}" if near else f" {search}"


def search(part: str) -> list[ModelSpec]:
    """The models whose name, with or without that of their weights, has this part in it."""
    try:
        timm = timm_package()
    except RequestError:
        return []
    wanted = part.removeprefix(PREFIX)
    named = [n for n in timm.list_models() if wanted in n]
    tagged = [n for n in timm.list_pretrained() if wanted in n.partition(".")[2]]
    return [TimmModel(*n.split(".", 1)).spec() for n in [*named, *tagged]]

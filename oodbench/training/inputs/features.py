"""A model as its features and the last layer on them."""

from torch import nn

from oodbench.errors import RequestError


def body_and_head(module: nn.Module) -> tuple[nn.Sequential, nn.Sequential]:
    """The layers up to the last, which give the features, and the last, each with its own names.

    Raises:
        RequestError: If the module is no chain of layers that ends with a linear one.
    """
    last = list(module.children())[-1:]
    if not isinstance(module, nn.Sequential) or not last or not isinstance(last[0], nn.Linear):
        raise RequestError(
            f"An algorithm that compares features needs a model that is an nn.Sequential ending "
            f"with an nn.Linear, but got {type(module).__name__}. Use another model or algorithm."
        )
    return module[:-1], module[-1:]

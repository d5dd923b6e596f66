"""What the training loop drives: K models that take each step together, however that is done."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from oodbench.errors import RequestError


class Models(Protocol):
    """What the training loop drives."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """(K, G, B, *shape) inputs to (K, G, B, classes) logits, model by model.

        A ``Stack`` that knows which models share their inputs takes these once.
        """

    def features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """(K, G, B, *shape) inputs to (K, G, B, d) features and (K, G, B, classes) logits."""

    def predict(self, inputs: Tensor) -> Tensor:
        """(n, *shape) inputs, the same for every model, to (K, n, classes) logits."""

    def backward(self, losses: Tensor, add: bool = False) -> None:
        """Put the gradient of each of the (K,) losses where its model's optimizer reads it.

        Or add it to what is there.
        """

    def clip(self, max_norm: float) -> None:
        """Shorten each model's gradient to this norm, over all its parameters, if it is longer."""

    def vectors(self) -> tuple[Tensor, Tensor]:
        """The (K, P) weights and gradients; the memory itself or a copy, to be read alone."""

    def set_gradients(self, rows: Tensor) -> None:
        """Put (K, P) gradients where the optimizers read them."""

    def set_weights(self, rows: Tensor) -> None:
        """Put (K, P) weights where the models read them."""

    def memory(self) -> list[Tensor]:
        """What all parameters of all models lie in."""

    def norms(self) -> list[_BatchNorm]:
        """The BatchNorm layers whose running statistics training changes: not frozen ones."""

    def buffers(self) -> Tensor:
        """A (K, B) copy of the buffers, such as BatchNorm's statistics; counts are floats there."""

    def set_buffers(self, rows: Tensor) -> None:
        """Put (K, B) values in their place."""

    def generators(self) -> list[Mapping[str, Tensor]]:
        """Where the random generators are that the models draw from; empty if they draw nothing."""

    def set_generators(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        """Restore the states of the generators."""

    def parameters_of(
        self, model: int, flat: bool, groups: Sequence[Sequence[int]]
    ) -> list[list[Tensor]]:
        """The parameters of one model, for its optimizer, in groups of their positions.

        Each group is one flat vector if that is allowed and its parameters lie together.
        """

    def train_only(self, positions: Collection[int]) -> None:
        """Let only the parameters at these positions have gradients, in every model.

        BatchNorm whose parameters have none keeps its statistics, too.
        """

    def finite(self) -> Tensor:
        """(K,) whether all of a model's parameters are finite."""

    def intact(self, model: int) -> bool:
        """Whether the optimizer still writes to the parameters it was given."""

    def state(self, model: int) -> dict[str, Tensor]:
        """A copy of one model's parameters and buffers by name."""

    def load_state(self, model: int, state: Mapping[str, Tensor]) -> None:
        """Write such a copy into the memory of one model's parameters and buffers."""


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

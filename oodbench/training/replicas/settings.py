"""What the four methods differ in: each is the one algorithm of ``methods`` with other settings."""

from dataclasses import dataclass

from oodbench.records import Trial


@dataclass(frozen=True)
class Settings:
    """The settings of the algorithm, by the names of the hyperparameters.

    Attributes:
        sync_warmup: First steps, whose gradients are averaged; all of them for ``ddp``.
        sync_every: Steps of a round (H); the replicas agree after each round.
        sync_phase: ``H``; or ``H-1``: the first round is one step shorter, as in the official code
            of PALSGD.
        inner_state: ``keep``: each replica keeps the state of its own optimizer; ``average``: its
            moments, not its counters, are averaged when the replicas agree.
        outer: The optimizer that moves the anchor: ``sgd``, ``momentum``, ``nesterov``, ``adam``.
        outer_lr: Learning rate of the outer optimizer.
        outer_momentum: Its momentum; ``sgd`` and ``adam`` (betas 0.9, 0.999) have no use for it.
        coasting: Further outer steps with a gradient of 0, as the official code takes with
            accumulated gradients.
        probability: Probability of a pseudo-step in place of a step (p); 0: none is taken.
        mixing: Strength of its pull (a).
        scope: Scope of the pull: ``all`` parameters, or the ``first_tensor`` alone, as in the
            official code.
        coins: ``independent``; or ``shared``: all replicas take their pseudo-steps together, as in
            the official code.
        batchnorm: Whose running statistics the mean weights are evaluated with: the ``average``
            over the replicas; ``local``: those of the first; ``reset``: those of the first, and all
            go back to those of the end of the warm-up whenever the replicas agree, as in the
            official code. In training each batch is normalised with its own, whatever is asked for.
    """

    sync_warmup: int
    sync_every: int = 1
    sync_phase: str = "H"
    inner_state: str = "keep"
    outer: str = "sgd"
    outer_lr: float = 1.0
    outer_momentum: float = 0.0
    coasting: int = 0
    probability: float = 0.0
    mixing: float = 0.0
    scope: str = "all"
    coins: str = "independent"
    batchnorm: str = "average"

    @classmethod
    def of(cls, trial: Trial) -> "Settings":
        """The settings of a trial.

        ``local_sgd`` is ``diloco`` with plain outer SGD at rate 1: the anchor becomes the mean of
        the replicas. ``diloco`` is ``palsgd`` without pseudo-steps.
        """
        if trial.parallel == "ddp":
            batchnorm = str(trial.hparams.get("batchnorm", "average"))
            return cls(sync_warmup=trial.steps, batchnorm=batchnorm)
        names = cls.__dataclass_fields__
        return cls(**{k: v for k, v in trial.hparams.items() if k in names})  # type: ignore[arg-type]

    def averages_gradients(self, step: int) -> bool:
        """Whether the gradients of this step (counted from 0) are averaged."""
        return step < self.sync_warmup

    def agrees_after(self, step: int) -> bool:
        """Whether the replicas agree on an anchor after this step."""
        local = step + 1 - self.sync_warmup
        return local > 0 and (local + (self.sync_phase == "H-1")) % self.sync_every == 0

    def acts_after(self, step: int) -> bool:
        """Whether the replicas agree after this step, or have just had the last of the warm-up."""
        return step + 1 == self.sync_warmup or self.agrees_after(step)

    def all_reduces(self, steps: int) -> int:
        """How often so many steps average a vector over the replicas, of the moments apart."""
        local = max(0, steps - self.sync_warmup)
        shift = self.sync_phase == "H-1" and self.sync_every > 1 and local > 0
        return min(steps, self.sync_warmup) + (local + shift) // self.sync_every

    def pseudo_step(self, lr: float) -> float:
        """Share of a replica's distance to the anchor that one pseudo-step takes away (c)."""
        return lr * self.mixing / self.probability

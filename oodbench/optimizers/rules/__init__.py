"""Update rules that torch.optim does not have. They import torch: only builders import them."""

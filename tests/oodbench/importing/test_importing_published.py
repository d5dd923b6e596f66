"""timm's and open_clip's tables, in the form in which they are published."""

from pathlib import Path

import pytest

import oodbench
from oodbench.errors import RequestError, UnknownNameError
from oodbench.importing import import_open_clip, import_timm

HEADER = "model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct,interpolation"

IMAGENET = f"""{HEADER}
eva02.mim_in22k,448,90.056,9.944,99.054,0.946,"1,013.01",1.000,bicubic
vit_base.augreg,224,80.000,20.000,95.000,5.000,86.57,0.900,bicubic
vit_base.augreg,384,82.000,18.000,96.000,4.000,86.86,1.000,bicubic
gone.here,224,70.000,30.000,90.000,10.000,5.00,0.900,bicubic
"""

SKETCH = f"""{HEADER},top1_diff,top5_diff,rank_diff
vit_base.augreg,384,40.000,60.000,60.000,40.000,86.86,1.000,bicubic,-42.000,-36.000,+1
eva02.mim_in22k,448,71.717,28.283,90.666,9.334,"1,013.01",1.000,bicubic,-17.339,-8.086,0
vit_base.augreg,224,0.850,99.150,60.000,40.000,86.57,0.900,bicubic,-42.000,-36.000,-1
"""

CLIP = """name,pretrained,params (M),FLOPs (B),Average perf.,ImageNet 1k,ImageNet v2,FMoW
ViT-H-14,dfn5b,986.71,1054.05,0.7079,0.8437,0.7833,0.2075
ViT-H-14,laion2b,986.11,381.68,0.6961,0.8344,0.7736,0.2079
RN50,openai,102.01,18.18,0.4500,0.5982,0.5283,
"""


@pytest.fixture
def timm(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "results-imagenet.csv").write_text(IMAGENET)
    (folder / "results-sketch.csv").write_text(SKETCH)
    (folder / "benchmark-infer-amp.csv").write_text("model,infer_step_time\na,1\n")
    return folder


def test_timms_models_are_joined_by_name_and_size(timm: Path) -> None:
    db = timm.parent / "t.db"
    done = import_timm(timm, db, "imagenet", ["sketch"], {"shift": "diversity"})
    assert (done.new, done.sweep, done.notes) == (3, "timm", ())
    assert done.skipped == ("1 models that have a score on one of imagenet and sketch alone.",)
    runs = oodbench.query(db)
    assert runs["dataset"].unique().tolist() == ["imagenet -> sketch"]
    runs = runs.set_index(["model", "img_size"])
    assert runs["id"].to_dict() == pytest.approx(
        {("eva02.mim_in22k", 448): 0.90056, ("vit_base.augreg", 224): 0.8,
         ("vit_base.augreg", 384): 0.82}
    )  # fmt: skip
    assert runs["ood"].to_dict() == pytest.approx(
        {("eva02.mim_in22k", 448): 0.71717, ("vit_base.augreg", 224): 0.0085,
         ("vit_base.augreg", 384): 0.4}
    )  # fmt: skip
    assert set(runs["n_ood"]) == {50_889}
    assert set(runs["chance"]) == {1 / 1000}
    assert runs["id_test"].isna().all()  # models were chosen by ImageNet's validation images
    assert runs["params_m"].max() == 1013.01
    assert set(runs["pretrained"]) == {"mim_in22k", "augreg"}
    assert import_timm(timm, db, "imagenet", ["sketch"]).known == 3


def test_any_test_set_against_any_other(timm: Path) -> None:
    db = timm.parent / "t.db"
    import_timm(timm, db, "imagenet", ["sketch"])
    import_timm(timm, db, "sketch", ["imagenet", "imagenet"])
    runs = oodbench.query(db).set_index(["dataset", "model", "img_size"])
    assert len(runs) == 6
    turned = runs.loc[("sketch -> imagenet", "eva02.mim_in22k", 448)]
    assert (turned["id"], turned["ood"]) == pytest.approx((0.71717, 0.90056))
    with pytest.raises(UnknownNameError, match=r"unknown test set 'sketches'\. Did you mean"):
        import_timm(timm, db, "imagenet", ["sketches"])
    with pytest.raises(RequestError, match="has no results-"):
        import_timm(timm.parent, db, "imagenet", ["sketch"])


def test_open_clips_columns(tmp_path: Path) -> None:
    file, db = tmp_path / "openclip_results.csv", tmp_path / "o.db"
    file.write_text(CLIP)
    done = import_open_clip(file, db, "ImageNet 1k", ["ImageNet v2", "FMoW"])
    assert (done.new, done.sweep) == (5, "openclip_results")
    assert done.skipped == ("row 3: ood is missing.",)
    assert done.notes == (
        "the scores on FMoW are taken for accuracies, but are accuracy in the worst region.",
    )
    runs = oodbench.query(db, "dataset = 'ImageNet 1k -> ImageNet v2'")
    runs = runs.set_index(["model", "pretrained"])
    assert runs["id_test"].to_dict() == {
        ("ViT-H-14", "dfn5b"): 0.8437,
        ("ViT-H-14", "laion2b"): 0.8344,
        ("RN50", "openai"): 0.5982,
    }
    assert runs["ood"]["RN50", "openai"] == 0.5283
    assert (set(runs["n_id"]), set(runs["n_ood"])) == ({50_000}, {10_000})
    fmow = oodbench.query(db, "dataset = 'ImageNet 1k -> FMoW'")
    assert fmow["n_ood"].isna().all()  # no share of the examples, so it has no such interval
    with pytest.raises(UnknownNameError, match=r"unknown test set 'ImageNet V2'\. Did you mean"):
        import_open_clip(file, db, "ImageNet 1k", ["ImageNet V2"])


def test_a_table_without_names_is_not_open_clips(tmp_path: Path) -> None:
    (tmp_path / "profile.csv").write_text("model,image_size\nViT-S-32,224\n")
    with pytest.raises(RequestError, match="no columns name and pretrained or model and version"):
        import_open_clip(tmp_path / "profile.csv", tmp_path / "o.db", "a", ["b"])

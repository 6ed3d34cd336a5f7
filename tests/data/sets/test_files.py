"""Tests of the kinds of data file: what is read from each, and the errors for broken ones."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from edgekd.data.sets.cifar10 import cifar10
from edgekd.data.sets.digits import digits
from edgekd.data.sets.idx import idx, read_idx
from edgekd.data.sets.images import images
from edgekd.data.sets.npz import npz
from edgekd.errors import ConfigError, DataError

Image = pytest.importorskip("PIL.Image", reason="the data set 'images' needs Pillow")


def idx_bytes(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


def mnist_like(root: Path, gzipped: bool = False) -> None:
    x, y = np.arange(2 * 3 * 4).reshape(2, 3, 4), np.array([1, 0])
    for part in ("train", "t10k"):
        for stem, array in ((f"{part}-images-idx3-ubyte", x), (f"{part}-labels-idx1-ubyte", y)):
            data = idx_bytes(array)
            (root / (stem + ".gz" * gzipped)).write_bytes(gzip.compress(data) if gzipped else data)


def picture(path: Path, height: int = 4, width: int = 6, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), value, np.uint8)).save(path)


def test_digits_spread_17_grey_levels_over_a_byte():
    raw = digits()
    x = np.concatenate([raw["train"][0], raw["test"][0]])
    assert x.shape == (1797, 1, 8, 8)
    assert x.dtype == np.uint8
    assert len(np.unique(x)) == 17
    assert x.max() == 255
    assert len(raw["test"][1]) == 360
    assert np.bincount(raw["test"][1]).min() >= 35


@pytest.mark.parametrize("gzipped", [False, True])
def test_idx_files_become_one_channel_images(tmp_path, gzipped):
    mnist_like(tmp_path, gzipped)
    x, y = idx(tmp_path)["train"]
    np.testing.assert_array_equal(x, np.arange(24).reshape(2, 1, 3, 4))
    assert x.dtype == np.uint8
    assert y.tolist() == [1, 0]


def test_idx_files_of_wider_types_are_read_from_big_endian(tmp_path):
    (tmp_path / "f").write_bytes(bytes([0, 0, 0x0D, 1, 0, 0, 0, 2]) + np.array([1.5, -2], ">f4").tobytes())
    assert read_idx(tmp_path / "f").tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x89PNG\r\n", "89 50 4e 47"),
        (bytes([0, 0, 8, 3, 0, 0]), "promises"),
        (idx_bytes(np.zeros((2, 3, 4)))[:-1], "39 bytes.*promises 40"),
        (idx_bytes(np.zeros((2, 3, 4))) + b"x", "41 bytes.*promises 40"),
        (gzip.compress(idx_bytes(np.zeros((2, 3, 4))))[:-12], "no whole gzip"),
        (idx_bytes(np.zeros(4)), "rank 1, not 3"),
    ],
)
def test_a_broken_idx_file_is_named(tmp_path, data, message):
    mnist_like(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(data)
    with pytest.raises(DataError, match=message) as caught:
        idx(tmp_path)
    assert "train-images-idx3-ubyte" in caught.value.what
    assert caught.value.remedy


def test_a_missing_idx_file_is_named(tmp_path):
    mnist_like(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte"):
        idx(tmp_path)


def test_cifar_batches_are_a_label_and_three_planes(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "batches.meta.txt").write_text("plane\ncar\n\n")
    planes = np.arange(3072) % 251
    for name in (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"):
        (folder / name).write_bytes(bytes([7]) + planes.astype(np.uint8).tobytes())
    for root in (folder, tmp_path):  # the archive's folder, and the one above it
        raw = cifar10(root)
        x, y = raw["train"]
        assert x.shape == (5, 3, 32, 32)
        assert y.tolist() == [7] * 5
        assert x[0, 2, 1, 3] == (2 * 1024 + 32 + 3) % 251
        assert raw["classes"] == ["plane", "car"]
    (folder / "data_batch_3.bin").write_bytes(b"\0" * 3000)
    with pytest.raises(DataError, match=r"data_batch_3\.bin holds 3,000 bytes"):
        cifar10(folder)
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"no data_batch_3\.bin"):
        cifar10(folder)


def test_npz_takes_a_validation_part_and_class_names(tmp_path):
    x, y = np.ones((4, 2), np.float32), np.array([0, 1, 0, 1])
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y, x_val=x, y_val=y, classes=["no", "yes"])
    raw = npz(tmp_path / "a.npz")
    assert set(raw) == {"train", "validation", "test", "classes"}
    assert raw["classes"] == ["no", "yes"]


def test_a_broken_npz_is_named(tmp_path):
    x, y, file = np.ones((4, 2)), np.array([0, 1, 0, 1]), tmp_path / "a.npz"
    np.savez(file, x_train=x, y_train=y)
    with pytest.raises(DataError, match=r"a\.npz has no x_test; it holds x_train, y_train"):
        npz(file)
    np.savez(file, x_train=np.array([{}, 1], dtype=object), y_train=y, x_test=x, y_test=y)
    with pytest.raises(DataError, match=r"x_train.*can't be read"):
        npz(file)
    contents = file.read_bytes()
    for broken in (contents[: len(contents) // 2], b"", b"text"):
        file.write_bytes(broken)
        with pytest.raises(DataError, match=r"a\.npz is no \.npz file"):
            npz(file)
    np.save(tmp_path / "one.npy", x)
    with pytest.raises(DataError, match="one array"):
        npz(tmp_path / "one.npy")
    with pytest.raises(ConfigError, match="is a folder"):
        npz(tmp_path)


def test_a_folder_of_images_is_read_class_by_class_in_order(tmp_path):
    for part in ("train", "test"):
        picture(tmp_path / part / "b" / "1.png", value=10)
        picture(tmp_path / part / "a" / "deeper" / "2.jpg", value=200)
    (tmp_path / "train" / "a" / "readme.txt").write_text("no image")
    raw = images(tmp_path)
    x, y = raw["train"]
    assert raw["classes"] == ["a", "b"]
    assert y.tolist() == [0, 1]
    assert x.shape == (2, 3, 4, 6)
    assert x[1].max() == 10
    assert abs(int(x[0].mean()) - 200) < 3
    assert len(raw["notes"]) == 1
    assert "1 files" in raw["notes"][0]


def test_images_are_scaled_and_turned_grey_where_asked(tmp_path):
    for part in ("train", "test"):
        picture(tmp_path / part / "a" / "1.png", 4, 6)
        picture(tmp_path / part / "b" / "1.png", 9, 3)
    assert images(tmp_path, size=5, channels=1)["train"][0].shape == (2, 1, 5, 5)
    assert images(tmp_path, size=[2, 8])["test"][0].shape == (2, 3, 2, 8)
    with pytest.raises(DataError, match="9x3 pixels") as caught:
        images(tmp_path)
    assert "data.size" in caught.value.remedy


def test_images_without_a_test_folder_are_split_class_by_class(tmp_path):
    for name in "ab":
        for number in range(10):
            picture(tmp_path / name / f"{number}.png", value=number)
    raw = images(tmp_path, test=0.3)
    assert np.bincount(raw["train"][1]).tolist() == [7, 7]
    assert np.bincount(raw["test"][1]).tolist() == [3, 3]
    assert "set aside" in raw["notes"][0]


def test_broken_image_folders_are_named(tmp_path):
    with pytest.raises(DataError, match="no folders of classes"):
        images(tmp_path)
    picture(tmp_path / "train" / "a" / "1.png")
    with pytest.raises(DataError, match="no folder test"):
        images(tmp_path)
    picture(tmp_path / "test" / "c" / "1.png")
    with pytest.raises(DataError, match="class that train does not have"):
        images(tmp_path)
    (tmp_path / "test" / "c").rename(tmp_path / "test" / "a")
    file = tmp_path / "train" / "a" / "1.png"
    file.write_bytes(file.read_bytes()[:45])
    with pytest.raises(DataError, match=r"1\.png can't be read as an image"):
        images(tmp_path)
    file.unlink()
    with pytest.raises(DataError, match="no images in"):
        images(tmp_path)


@pytest.mark.parametrize("options", [{"size": 0}, {"size": [1, 2, 3]}, {"channels": 4}, {"test": 1.5}])
def test_wrong_options_of_images_are_settings_to_mend(tmp_path, options):
    with pytest.raises(ConfigError, match=rf"data\.{next(iter(options))}"):
        images(tmp_path, **options)

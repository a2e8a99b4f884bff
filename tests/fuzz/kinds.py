"""The kinds of files that strangers send: how good ones are made, how they are damaged in their own terms, and what reads them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickletools
import random
import shutil
import sqlite3
import struct
import warnings
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from lib.errors import FaceswapError
from lib.types import Detection, Face
from tests.fuzz import damage
from tests.fuzz.running import Kind

SIDE = 64
logging.disable(logging.CRITICAL)
warnings.simplefilter("ignore")


def landmarks() -> np.ndarray:
    """(68, 2) float32: a face of 100 pixels."""
    from lib.faces.geometry import MEAN_FACE

    jaw = np.stack([np.linspace(0, 1, 17), 0.2 + 0.9 * np.sin(np.linspace(0, np.pi, 17))], 1)
    return (np.vstack([jaw, MEAN_FACE]) * 100 + 20).astype(np.float32)


def picture() -> np.ndarray:
    """(SIDE, SIDE, 3) uint8 RGB."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[60 : 60 + 2 * SIDE : 2, 190 : 190 + 2 * SIDE : 2])


class Files(Kind):
    """Files that are damaged as bytes, or by `changed` in their own terms."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.bases = {path.name: path.read_bytes() for path in self.write(folder)}

    def write(self, folder: Path) -> list[Path]:
        raise NotImplementedError

    def changed(self, name: str, data: bytes, chance: random.Random) -> bytes:
        return damage.bytes_of(data, chance)

    def make(self, chance: random.Random, folder: Path) -> None:
        name = chance.choice(sorted(self.bases))
        data = self.bases[name]
        data = self.changed(name, data, chance) if chance.random() < 0.6 else damage.bytes_of(data, chance)
        (folder / name).write_bytes(data)

    def one(self, folder: Path) -> Path:
        return next(folder.iterdir())


class Pictures(Files):
    def write(self, folder: Path) -> list[Path]:
        import cv2
        import tifffile
        from PIL import Image

        image, deep = picture(), picture().astype(np.uint16) * 257
        whole = Image.fromarray(image)
        for name, more in (
            ("a.jpg", {}),
            ("b.png", {}),
            ("c.webp", {}),
            ("d.gif", {}),
            ("e.bmp", {}),
            ("f.tif", {}),
            ("g.jp2", {}),
            ("h.ppm", {}),
            ("i.tga", {}),
            ("j.avif", {}),
            ("k.webp", {"lossless": True}),
            ("l.tiff", {"compression": "tiff_lzw"}),
        ):
            whole.save(folder / name, **more)
        exif = Image.Exif()
        exif[0x0112] = 6
        whole.save(folder / "turned.jpg", exif=exif, icc_profile=b"\0" * 200)
        whole.convert("RGBA").save(folder / "alpha.png")
        whole.convert("P").save(folder / "palette.png")
        whole.convert("L").save(folder / "grey.png")
        whole.convert("CMYK").save(folder / "cmyk.jpg")
        whole.save(folder / "moves.gif", save_all=True, append_images=[whole.rotate(90)], duration=40)
        whole.save(folder / "moves.webp", save_all=True, append_images=[whole.rotate(90)], duration=40)
        whole.save(folder / "moves.png", save_all=True, append_images=[whole.rotate(90)], duration=40)
        cv2.imwrite(str(folder / "deep.png"), deep)
        tifffile.imwrite(folder / "deep.tif", deep, photometric="rgb", compression="zlib")
        tifffile.imwrite(folder / "planar.tif", np.moveaxis(deep, 2, 0), photometric="rgb", planarconfig="separate")
        return [path for path in folder.iterdir() if path.is_file()]

    def changed(self, name: str, data: bytes, chance: random.Random) -> bytes:
        if data.startswith(b"\x89PNG"):
            return png_chunks(data, chance)
        if data[:4] in (b"II*\0", b"MM\0*"):
            return tiff_entries(data, chance)
        if data[:2] == b"\xff\xd8":
            return jpeg_segments(data, chance)
        return damage.bytes_of(data, chance)

    def use(self, folder: Path) -> None:
        from lib.alignments.mask_files.pictures import read_mask
        from lib.media.endpoints.source import open_source
        from lib.media.pictures.content import identify

        path = self.one(folder)
        identify(path)
        with contextlib.suppress(FaceswapError):
            mask = read_mask(path)
            assert mask.dtype == np.float32 and 0 <= mask.min() <= mask.max() <= 1
        source = open_source(path)
        assert source.size is None or min(source.size) > 0
        for frame, _ in zip(source, range(3)):
            assert frame.image.ndim == 3 and frame.image.dtype == np.uint8


def png_chunks(data: bytes, chance: random.Random) -> bytes:
    """A PNG whose chunks are changed, moved or doubled, with sums that are right."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        chunks.append((kind, data[place + 8 : place + 8 + length]))
        place += 12 + length
    for _ in range(chance.choice((1, 2, 4))):
        number = chance.randrange(len(chunks))
        kind, body = chunks[number]
        way = chance.randrange(6)
        if way == 0:
            chunks.insert(chance.randrange(len(chunks) + 1), chunks.pop(number))
        elif way == 1:
            chunks.insert(number, chunks[number])
        elif way == 2 and kind == b"IHDR":
            sides = (chance.choice((0, 1, 63, 65, 5000, 13000, 30000, 1 << 31, (1 << 32) - 1)) for _ in range(2))
            chunks[number] = (
                kind,
                struct.pack(
                    ">IIBBBBB",
                    *sides,
                    chance.choice((1, 2, 4, 8, 16, 7)),
                    chance.choice((0, 2, 3, 4, 6, 5)),
                    0,
                    0,
                    chance.choice((0, 0, 1, 2)),
                ),
            )
        elif way == 3 and kind == b"IDAT":
            chunks[number] = kind, zlib.compress(bytes(chance.choice((0, 100, 10_000_000))))
        elif way == 4:
            chunks[number] = (
                chance.choice(
                    (b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"acTL", b"fcTL", b"tRNS", b"PLTE", b"cICP")
                ),
                body,
            )
        else:
            chunks[number] = kind, damage.bytes_of(body, chance) if body else chance.randbytes(8)
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def tiff_entries(data: bytes, chance: random.Random) -> bytes:
    """A TIFF with other tags, types, counts and values in its directory."""
    order = "<" if data[:2] == b"II" else ">"
    changed = bytearray(data)
    start = struct.unpack(order + "I", data[4:8])[0]
    if start + 2 > len(data):
        return damage.bytes_of(data, chance)
    count = struct.unpack(order + "H", data[start : start + 2])[0]
    for _ in range(chance.choice((1, 2, 4))):
        entry = start + 2 + 12 * chance.randrange(max(count, 1))
        part, size = chance.choice(((0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "I")))
        number = chance.choice((0, 1, 2, 3, 8, 16, 32, 64, 255, 65535, chance.randrange(65536)))
        number = chance.choice((number, 13000, 1 << 30, (1 << 32) - 1)) if size == "I" else number
        changed[entry + part : entry + part + struct.calcsize(size)] = struct.pack(order + size, number)
    return bytes(changed)


def jpeg_segments(data: bytes, chance: random.Random) -> bytes:
    """A JPEG with changed segments, such as another size."""
    changed, place, starts = bytearray(data), 2, []
    while place + 4 < len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        starts.append(place)
        place += 2 + struct.unpack(">H", data[place + 2 : place + 4])[0]
    for _ in range(chance.choice((1, 2))):
        start = chance.choice(starts)
        if changed[start + 1] in range(0xC0, 0xD0) and chance.random() < 0.7:
            changed[start + 5 : start + 9] = struct.pack(
                ">HH", *(chance.choice((0, 1, 500, 13000, 65535)) for _ in range(2))
            )
        else:
            changed[start + chance.choice((1, 2, 3, 4, 6))] = chance.randrange(256)
    return bytes(changed)


class Faces(Files):
    def write(self, folder: Path) -> list[Path]:
        from lib.faces.geometry import crop
        from lib.facesets.face_file import Origin
        from lib.facesets.folder import write_face

        frame = np.ascontiguousarray(np.tile(picture(), (3, 3, 1)))
        face = Face(Detection(np.float32([20, 20, 120, 120]), 0.9), landmarks())
        return [write_face(folder, crop(frame, face, 32), Origin("a.mp4", number, 0, "", 0.5)) for number in range(2)]

    def changed(self, name: str, data: bytes, chance: random.Random) -> bytes:
        start = data.index(b"tEXt") - 4
        length = struct.unpack(">I", data[start : start + 4])[0]
        text = data[start + 8 : start + 8 + length].partition(b"\0")[2]
        said = damage.json_text(json.loads(text), chance).encode("latin-1", "replace")
        body = b"faceswap\0" + said
        return (
            data[:start]
            + struct.pack(">I", len(body))
            + b"tEXt"
            + body
            + struct.pack(">I", zlib.crc32(b"tEXt" + body))
            + data[start + 12 + length :]
        )

    def use(self, folder: Path) -> None:
        from lib.facesets import face_file, face_set, packing
        from lib.facesets.folder import is_face_folder

        path = self.one(folder)
        is_face_folder(folder)
        face_file.read_origin(path)
        face = face_file.read_face(path)
        face.recrop(32, "full")
        assert face.landmarks.shape == (68, 2)
        packing.pack([folder], folder / "x.h5")
        face_set.read_faces(folder / "x.h5", 1)


class Stores(Kind):
    TABLES = {
        "settings": ("key", "value"),
        "frames": ("frame", "name", "time", "look", "stamp", "content"),
        "faces": (
            "frame",
            "number",
            "box",
            "score",
            "landmarks",
            "smooth",
            "track",
            "filled",
            "person",
            "embedding",
            "dropped",
            "recognizer",
        ),
        "masks": ("frame", "number", "name", "size", "pixels"),
        "written": ("folder", "frame", "number"),
    }
    VALUES = (
        "NULL",
        "0",
        "-1",
        "1.5",
        "9e999",
        "1 << 62",
        "'x'",
        "''",
        "x''",
        "x'00'",
        "x'ff'",
        "CAST(x'ff' AS TEXT)",
        "char(0)",
        "zeroblob(16)",
        "zeroblob(544)",
        "zeroblob(1728)",
        "randomblob(544)",
        "zeroblob(30000000)",
        "'person'",
        "1000000",
        "{0} + 1",
        "-{0}",
        "{0} || 'x'",
        "CAST({0} AS TEXT)",
        "CAST({0} AS BLOB)",
    )
    SCHEMAS = (
        "CREATE VIEW more AS SELECT 1",
        "CREATE TABLE more(x)",
        "CREATE TRIGGER more AFTER INSERT ON frames BEGIN SELECT 1; END",
        "DROP TABLE masks",
        "ALTER TABLE frames ADD COLUMN more TEXT",
        "ALTER TABLE faces DROP COLUMN filled",
        "CREATE INDEX more ON faces(score)",
        "PRAGMA user_version = 1",
        "PRAGMA user_version = 3",
        "PRAGMA user_version = 9",
        "PRAGMA application_id = 5",
        "DELETE FROM frames",
        "CREATE VIRTUAL TABLE more USING fts5(x)",
        "ALTER TABLE masks ADD COLUMN more GENERATED ALWAYS AS (zeroblob(size * 1000000)) VIRTUAL",
    )

    def __init__(self, folder: Path):
        from lib.alignments.store import AlignmentStore, StoredFace

        self.path = folder / "x.db"
        face = StoredFace(
            Face(Detection(np.float32([20, 20, 120, 120]), 0.9), landmarks(), track=0, person=1),
            {"hull": np.ones((16, 16, 1), np.float32)},
            raw=landmarks() + 1,
        )
        with AlignmentStore.open(self.path) as store:
            for index in range(4):
                store.add(index, "", index / 25, [face], np.zeros((18, 32, 3), np.uint8))
                store.add_written(folder / "faces", index, [0])
            for index in range(4):
                store.add_embedding(index, 0, np.ones(128, np.float32), "dlib_resnet")
            self.settings = {
                "source": {
                    "path": "/x.mp4",
                    "video": {"bytes": 5, "size": [64, 64], "content": None},
                    "pictures": None,
                },
                "complete": [1],
                "losses": [],
                "smooth": True,
                "followed": 4,
                "min_face": 0,
                "rotate": [],
                "detector": {"name": "hog", "options": {"search": 640}},
                "aligner": {"name": "dlib68", "options": {}},
                "maskers": {"hull": {"dilation": 0.0}},
                "recognizer": "dlib_resnet",
                "recognized": 4,
                "shard": [1, 2],
                "wanted": {"keep": None, "drop": None, "people": [], "threshold": None},
            }
            store.update_settings(self.settings)

    def make(self, chance: random.Random, folder: Path) -> None:
        path = folder / "x.db"
        if chance.random() < 0.4:
            path.write_bytes(damage.bytes_of(self.path.read_bytes(), chance))
            return
        shutil.copy(self.path, path)
        database = sqlite3.connect(path)
        for _ in range(chance.choice((1, 1, 2))):
            way = chance.random()
            try:
                if way < 0.25:
                    database.execute(chance.choice(self.SCHEMAS))
                elif way < 0.5:
                    key = chance.choice(list(self.settings))
                    database.execute(
                        "UPDATE settings SET value = ? WHERE key = ?",
                        (damage.json_text(self.settings[key], chance), key),
                    )
                else:
                    table = chance.choice(list(self.TABLES))
                    column = chance.choice(self.TABLES[table])
                    where = chance.choice(("", " WHERE rowid = 2" if table in ("frames", "masks") else ""))
                    database.execute(
                        f"UPDATE {table} SET {column} = {chance.choice(self.VALUES).format(column)}{where}"
                    )
            except (sqlite3.Error, UnicodeError):
                continue
        database.commit()
        database.close()

    def use(self, folder: Path) -> None:
        from lib.alignments import inventory
        from lib.alignments.exchange import export_faces
        from lib.alignments.store import AlignmentStore

        path = folder / "x.db"
        with AlignmentStore.open(path, read_only=True) as store:
            inventory.table(inventory.facts(store))
            for index in sorted(store.done())[:6]:
                for face in store.faces(index, dropped=True):
                    from lib.faces.geometry import crop

                    if face.dropped is None:
                        crop(np.zeros((200, 200, 3), np.uint8), face.fitted, 64)
            list(store.boxes())
            list(store.looks())
            list(store.embeddings("dlib_resnet"))
            (
                store.names(),
                store.tracks(),
                store.people(),
                store.whose(),
                store.folders(),
                store.digest(),
                store.counts(),
            )
            export_faces(store, "x", folder / "x.json")
        with AlignmentStore.open(path) as store:
            store.renumber(["a", "b"])
            store.update_settings({"smooth": False})


class Packed(Kind):
    def __init__(self, folder: Path):
        from lib.facesets import packing

        faces = Faces(folder / "faces") if (folder / "faces").mkdir() is None else None
        assert faces
        packing.pack([folder / "faces"], folder / "x.h5")
        packing.pack([folder / "faces"], folder / "y.h5", compress=True)
        self.bases = [folder / "x.h5", folder / "y.h5"]

    def make(self, chance: random.Random, folder: Path) -> None:
        base, path = chance.choice(self.bases), folder / "x.h5"
        if chance.random() < 0.6:
            path.write_bytes(damage.bytes_of(base.read_bytes(), chance))
        else:
            shutil.copy(base, path)
            hdf5_changed(path, chance)

    def use(self, folder: Path) -> None:
        from lib.facesets import face_set, packing

        path = folder / "x.h5"
        face_set.read_faces(path, 1)
        packing.unpack(path, folder / "out")


def hdf5_changed(path: Path, chance: random.Random) -> None:
    """Replaces a dataset, or an attribute, of an HDF5 file."""
    import h5py

    with h5py.File(path, "r+") as file:
        places: list[str] = []
        file.visititems(lambda name, item: places.append(name) if isinstance(item, h5py.Dataset) else None)
        for _ in range(chance.choice((1, 1, 2))):
            if not places or chance.random() < 0.2:
                name = chance.choice(list(file.attrs) or ["x"])
                file.attrs[name] = chance.choice(
                    (0, -1, 1 << 40, "x", b"\xff", np.zeros(5), "a" * 3000, np.nan, "full", 2)
                )
                continue
            name = places.pop(chance.randrange(len(places)))
            shape, kind = file[name].shape, file[name].dtype
            values, way = file[name][()], chance.randrange(9)
            del file[name]
            if way == 0:
                continue
            if way == 1:
                file[name] = h5py.ExternalLink("/etc/passwd", "/x")
            elif way == 2:
                file[name] = h5py.SoftLink("/nowhere")
            elif way == 3:
                file.create_dataset(name, shape, kind, external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)])
            elif way == 4:
                file.create_dataset(
                    name,
                    tuple(1 << 20 for _ in shape) or (1 << 40,),
                    kind,
                    chunks=tuple(1 << 4 for _ in shape) or (1024,),
                )
            elif way == 5:
                file[name] = np.asarray(values).astype(chance.choice(("u1", "i8", "f8", "S3")))
            elif way == 6:
                file[name] = ["text", "more"]
            elif way == 7:
                file.create_group(name)
            else:
                flat = np.array(values)
                if flat.size and flat.dtype.kind in "iuf":
                    flat.flat[chance.randrange(flat.size)] = chance.choice(
                        (0, 1, 255 if flat.dtype.kind == "u" else -1)
                    )
                    if flat.dtype.kind == "f":
                        flat.flat[chance.randrange(flat.size)] = chance.choice((np.nan, np.inf, 1e30, -1e6))
                file[name] = flat


class Models(Kind):
    """A model folder: its descriptions, saves, log and pictures."""

    memory = 3_000_000_000  # Keras's own addresses

    def __init__(self, folder: Path):
        os.environ.setdefault("FACESWAP_PLUGINS", str(Path(__file__).resolve().parent.parent / "own_plugins"))
        from lib.media.pictures import picture_file

        self.folder = folder / "model"
        save = self.folder / "saves" / "00000010"
        save.mkdir(parents=True)
        self.networks = self._networks()
        for name, network in self.networks.items():
            network.save_weights(save / f"{name}.weights.h5")
        import h5py

        with h5py.File(save / "all.optimizer.h5", "w") as file:
            file["00000"], file["00001"] = np.zeros((3, 4), np.float32), np.int64(5)
        import hashlib

        files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in save.iterdir()}
        self.texts = {
            "options.json": {
                "format": 1,
                "model": "tiny",
                "options": {"width": 8},
                "size": 32,
                "coverage": "whole",
                "precision": "float32",
                "seed": 5,
                "averaged": 0.0,
                "whole_pictures": False,
                "gan": 0.0,
                "exemplars": True,
                "held_out": ["a.png"],
                "losses": {"eyes": 1.0, "criteria": {"ssim": 1.0}},
                "faces": {"a": {"folder": "/a", "folders": ["/a"], "count": 5}, "b": {"folder": "/b", "count": 5}},
            },
            "saves/00000010/state.json": {
                "iteration": 10,
                "seconds": 5.5,
                "files": files,
                "scores": {"swap": 0.5, "loss": 0.1},
                "cut": 1.0,
                "optimizer": "{}",
            },
            "identities.json": {"a": [0.5] * 8, "b": [0.25] * 8},
        }
        for name, said in self.texts.items():
            (self.folder / name).write_text(json.dumps(said))
        self.rows = [
            {
                "iteration": number,
                "seconds": 1.5,
                "a": 0.5,
                "b": 0.25,
                "rate": 1e-4,
                "speed": 5.5,
                "images": 50.0,
                "progress": {"distance_b": 0.5},
            }
            for number in range(1, 6)
        ]
        (self.folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        picture_file.write(self.folder / "preview.png", picture())
        (self.folder / "timelapse").mkdir()
        picture_file.write(self.folder / "timelapse" / "00000010.jpg", picture())
        self._write_bank()

    def _networks(self):
        import keras

        inputs = keras.Input((4,))
        return {"encoder": keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Dense(3)(inputs)))}

    def _write_bank(self) -> None:
        import cv2

        from lib.faces.geometry import COVERAGES, MEAN_FACE
        from lib.swapping.exemplars import bank

        assert COVERAGES
        jpeg = cv2.imencode(".jpg", picture())[1].tobytes()
        shape = np.vstack([MEAN_FACE[:17], MEAN_FACE]).astype(np.float32)[None]
        bank.write(
            self.folder / "exemplars_b.h5",
            bank.Bank([jpeg] * 3, np.repeat(shape, 3, 0), np.arange(3), "full", False),
            "x",
        )

    def make(self, chance: random.Random, folder: Path) -> None:
        shutil.copytree(self.folder, folder / "model")
        names = [path.relative_to(self.folder).as_posix() for path in sorted(self.folder.rglob("*")) if path.is_file()]
        for _ in range(chance.choice((1, 1, 2))):
            name = chance.choice(names + list(self.texts) * 3 + ["log.jsonl"] * 2)
            path = folder / "model" / name
            way = chance.random()
            if way < 0.08:
                path.unlink(missing_ok=True)
                chance.choice(
                    (
                        lambda: os.mkfifo(path),
                        lambda: path.symlink_to("/dev/zero"),
                        lambda: path.symlink_to(self.folder / name),
                        lambda: path.mkdir(),
                        lambda: None,
                    )
                )()
            elif not path.is_file() or path.is_symlink():
                continue
            elif name in self.texts and way < 0.8:
                path.write_text(damage.json_text(self.texts[name], chance), errors="surrogatepass")
            elif name == "log.jsonl" and way < 0.8:
                path.write_text(
                    "".join(damage.json_text(row, chance) + "\n" for row in self.rows), errors="surrogatepass"
                )
            elif name.endswith(".h5") and way < 0.5:
                with contextlib.suppress(OSError):  # damaged already
                    hdf5_changed(path, chance)
            else:
                path.write_bytes(damage.bytes_of(path.read_bytes(), chance))
        if chance.random() < 0.1:
            (folder / "model" / "saves" / chance.choice(("²", "9" * 40, "-1", "00000011", "x"))).mkdir()

    def use(self, folder: Path) -> None:
        from lib.plugin import MODELS
        from lib.swapping.exemplars import bank
        from lib.training.saved import checkpoint, model_folder, weights
        from lib.training.saved.description import check_identities
        from lib.training.watch import preview, report

        model = folder / "model"

        class Variable:
            def __init__(self, *shape):
                self.shape = shape

            def assign(self, value):
                assert np.shape(value) == self.shape

        found = None

        def newest():
            nonlocal found
            found = checkpoint.newest(model)

        def learnt():
            if found:
                weights.load_networks(found[0], self.networks, averaged=weights.has_averages(found[0]))

        def described():
            options = model_folder.read_options(model)
            MODELS.create(options["model"], **options["options"])

        refused = None
        for step in (
            described,
            lambda: report.write(model),
            newest,
            lambda: checkpoint.best(model),
            learnt,
            lambda: weights.load_variables(
                model / "saves" / "00000010" / "all.optimizer.h5", [Variable(3, 4), Variable()]
            ),
            lambda: model_folder.read_json(model / "identities.json", check_identities),
            lambda: bank.read(model / "exemplars_b.h5"),
            lambda: preview.forget_after(model / "log.jsonl", 3),
            lambda: bank.sources_in(model / "exemplars_b.h5"),
        ):
            try:
                step()
            except FaceswapError as error:
                refused = error
        if refused:
            raise refused


class Json(Kind):
    """Every other file of JSON that is read."""

    FACE = {"detected": [20, 20, 120, 120], "landmarks_2d": landmarks().round(2).tolist()}
    SAID = {
        "exchange.json": {"x_000001.png": [FACE], "x_000002.png": [], "x_000003.png": [FACE, FACE]},
        "frames.json": {
            "source": "x.mp4",
            "time_base": "1/12800",
            "length": 512,
            "colours": [1, 1, 1],
            "times": {"x_1.png": 0, "x_2.png": 512},
            "statement": "",
        },
        "gather.json": {
            "addresses": [
                {
                    "address": "http://x/a.jpg",
                    "status": "done",
                    "file": "a.jpg",
                    "bytes": 5,
                    "sha256": "0" * 64,
                    "type": "picture",
                    "width": 5,
                    "height": 5,
                },
                {"address": "http://x/b.jpg", "status": "failed", "error": "404"},
            ]
        },
        ".parts/x.json": {
            "address": "http://x/a.jpg",
            "name": "a",
            "etag": None,
            "modified": None,
            "total": 5,
            "can_go_on": True,
            "outcome": {"address": "http://x/a.jpg", "status": "done", "file": "a.jpg", "sha256": "0" * 64},
        },
        "out.mp4.run.json": {
            "format": 1,
            "command": "convert",
            "key": "x",
            "failures": ["x"],
            "finished": True,
            "output_sha256": "0",
            "files": ["a"],
        },
        "sort-undo-1.jsonl": {"format": 1, "by": "blur", "folders": ["a"]},
        "keras.json": {"backend": "tensorflow"},
        "swap.json": {
            "inputs": {"A": {"name": "a", "files": 1, "bytes": 5}},
            "steps": {"extract": {"options": {}, "code": 0, "seconds": 5.5}},
        },
        "polygons.json": [
            {"frame": 1, "number": 0, "polygons": [{"kind": "cover", "points": [[50, 60], [90, 60], [90, 80.5]]}]},
            {"frame": 1, "name": "a.png", "number": 0, "polygons": [{"kind": "face", "points": [[5, 6], [9, 6], [9, 8]]}]},
        ],
        "masks/x_000000_0.json": {
            "imagePath": "x_000000_0.png",
            "imageWidth": 256,
            "shapes": [{"label": "hand", "shape_type": "polygon", "points": [[5.5, 6], [90, 6], [90, 80]]}],
        },
    }

    def make(self, chance: random.Random, folder: Path) -> None:
        for name in (".parts", "masks"):
            (folder / name).mkdir()
        name = chance.choice(list(self.SAID))
        text = damage.json_text(self.SAID[name], chance)
        if name.endswith("jsonl"):
            text += "\n" + damage.json_text({"before": "a.png", "after": "a/00001_a.png"}, chance)
        (folder / name).write_text(text, errors="surrogatepass")

    def use(self, folder: Path) -> None:
        from lib.alignments import exchange
        from lib.facesets.sorting import moves
        from lib.files import reading
        from lib.gathering import parts
        from lib.gathering.report import Report
        from lib.generating.output import Output  # noqa: F401
        from lib.jobs.provenance import recorded_hash
        from lib.provenance.run_record import Record
        from lib.system import device
        from lib.videotools.times import FrameTimes

        os.environ["KERAS_HOME"] = str(folder)
        os.environ.pop("KERAS_BACKEND", None)
        device.backend()
        if (path := folder / "exchange.json").exists():
            for name, said in exchange._entries(path):
                exchange._faces(path, name, said, (640, 480))
        FrameTimes.read(folder)
        Report(folder).save()
        parts.finished(folder)
        list(Record(folder / "out.mp4", "convert", {}, {}).earlier().get("failures", ()))
        recorded_hash(folder / "out.mp4")
        if (folder / "sort-undo-1.jsonl").exists():
            moves.undo(folder, moves.read_undo(folder))
        if (folder / "swap.json").exists():
            from lib.jobs.swap_steps import read_steps

            read_steps(folder / "swap.json", {"A": {"name": "a", "files": 1, "bytes": 5}})
        if (folder / "polygons.json").exists() or any((folder / "masks").iterdir()):
            self._import_masks(folder)
        for path in folder.glob("*.json"):
            try:
                reading.read_json(path)
            except ValueError:
                continue

    def _import_masks(self, folder: Path) -> None:
        from lib.alignments.mask_files.importing import import_folder, import_polygons
        from lib.alignments.store import AlignmentStore, StoredFace
        from lib.media.endpoints.source import open_source
        from lib.media.pictures import picture_file

        (folder / "x").mkdir()
        picture_file.write(folder / "x" / "x.png", picture())
        (folder / "masks" / "x_000000_0.png").touch()
        source = open_source(folder / "x")
        with AlignmentStore.open(folder / "x.db") as store:
            box = np.float32([20, 20, 120, 120])
            store.add(0, "x.png", None, [StoredFace(Face(Detection(box, 1.0), landmarks()))])
            if (folder / "polygons.json").exists():
                import_polygons(source, store, "hand", folder / "polygons.json")
            else:
                import_folder(source, store, "hand", folder / "masks")


class Toml(Kind):
    TEXT = (
        '[extract]\nsize = 256\nmasker = ["hull"]\n[detector.hog]\nupsample = 1\nmin_score = 0.5\n[train]\nlearning_rate = 1e-4\n'
        "seed = 5\n[writer.video]\ncrf = 18\n"
    )
    NETWORK = (
        '[network]\nfile = "x.onnx"\nsize = 64\nlayout = "nchw"\ncolor = "rgb"\nscale = 0.00392\nmean = [0, 0, 0]\n'
        'std = [1.0, 1.0, 1.0]\noutput = 0\n[mask]\nvalues = "logits"\nface = [1, 2]\n'
    )

    def make(self, chance: random.Random, folder: Path) -> None:
        for name, text in (("x.toml", self.TEXT), ("network.toml", self.NETWORK)):
            lines = text.splitlines()
            for _ in range(chance.choice((1, 2, 4))):
                place, way = chance.randrange(len(lines)), chance.randrange(8)
                key = lines[place].partition(" = ")[0]
                if way < 3:
                    lines[place] = f"{key} = {chance.choice(self._values())}"
                elif way == 3:
                    lines.insert(
                        place,
                        chance.choice(
                            (
                                "[a" + ".a" * chance.choice((3, 90, 5000)) + "]",
                                "a" + ".a" * 90_000 + " = 1",
                                "[[extract]]",
                                "[extract.x]",
                                "= 1",
                                "\0",
                                '"' + "k" * 9000 + '" = 1',
                                "é = 1",
                                "a.b = 1",
                                "[extract]",
                                "[detector.hog.x]",
                            )
                        ),
                    )
                elif way == 4:
                    del lines[place]
                    lines = lines or ["x = 1"]
                elif way == 5:
                    lines.insert(place, lines[place])
                elif way == 6:
                    lines[place] = damage.bytes_of(lines[place].encode(), chance).decode("utf-8", "replace")
                else:
                    lines[place] = chance.choice(("[train]", "[mask]", "[network]", "[color.manual]", "[x]"))
            (folder / name).write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))

    def _values(self) -> tuple[str, ...]:
        return (
            "0",
            "-1",
            "1" + "0" * 30,
            "9" * 5000,
            "0x" + "f" * 9000,
            "inf",
            "nan",
            "1e400",
            '"x"',
            '""',
            "[]",
            "[[[[1]]]]",
            "[" * 5000,
            "{}",
            "{a = {b = 1}}",
            "true",
            "1979-05-27",
            '"\\u0000"',
            '"' + "x" * 9000 + '"',
            "[1, 2, 3]",
            '["hull", "hull"]',
            '"~nosuchuser/x"',
            "1.5",
            "1e300",
            "'''x\ny'''",
            "[" + "1," * 9000 + "]",
            "-9223372036854775808",
        )

    def use(self, folder: Path) -> None:
        from lib.command import parsing
        from lib.onnx.onnx_network import Network

        refused = None
        for step in (
            lambda: parsing.parse("extract", parsing.declaration("extract"), ["-i", "x", "--config", str(folder / "x.toml")]),
            lambda: parsing.parse(
                "train", parsing.declaration("train"), ["-A", "x", "-B", "y", "-m", "z", "--config", str(folder / "x.toml")]
            ),
            lambda: Network(folder / "network.toml"),
        ):
            try:
                step()
            except FaceswapError as error:
                refused = error
        if refused:
            raise refused


class Options(Kind):
    VALUES = (
        "1" + "0" * 100,
        "-1" + "0" * 100,
        "9" * 5000,
        "nan",
        "inf",
        "-inf",
        "1e400",
        "1e300",
        "~nosuchuser/x",
        "",
        "4294967296",
        "-1",
        "0x10",
        "1_000",
        "\uff11\uff12",
        "\u00b2",
        "a=b",
        "=",
        "-",
        "1",
        "0.5",
        "x" * 300,
        "\udcff",
        "\n",
        "[",
        "%s",
        "../..",
        "hog",
        "3/4",
    )

    def make(self, chance: random.Random, folder: Path) -> None:
        from lib.command import parsing
        from lib.plugin import REGISTRIES

        command = chance.choice(parsing.commands())
        declared, words = parsing.declaration(command).options, []
        for _ in range(chance.choice((1, 2, 3))):
            item, text = chance.choice(declared), chance.choice(self.VALUES)
            if item.plugin and chance.random() < 0.7:
                registry = REGISTRIES[item.plugin]
                name = chance.choice(registry.names())
                words += [f"--{item.flag}", name]
                if own := registry.declaration(name).options:
                    words.append(f"--{item.flag}.{chance.choice(own).flag}={text}")
            elif item.positional:
                words.append(text)
            else:
                words.append(f"--{item.flag}" if item.kind == "bool" else f"--{item.flag}={text}")
        (folder / "words").write_text(json.dumps([command, *words]))

    def use(self, folder: Path) -> None:
        from lib.command import parsing
        from lib.media.frame_range import parse_shard

        command, *words = json.loads((folder / "words").read_text())
        values = parsing.parse(command, parsing.declaration(command), words)
        if "shard" in values:
            parse_shard(values["shard"])


class Pickles(Kind):
    """Generators in pickle files: operations doubled, left out, moved and changed."""

    def __init__(self, folder: Path):
        self.bases = [self._torch(), self._plain(0), self._plain(2), self._plain(4)]

    def _torch(self) -> bytes:
        """A G_ema of the torch layout, with an array of NumPy's."""
        array = self._array()
        stub = b"ctorch\nModule\n)R"
        inner = b"}(X\x0b\0\0\0_parameters}X\x06\0\0\0weight" + array + b"sX\x08\0\0\0_buffers}X\x08\0\0\0_modules}u"
        outer = (
            b"}(X\x0b\0\0\0_parameters}X\x08\0\0\0_buffers}X\x08\0\0\0_modules}X\x07\0\0\0mapping"
            + stub
            + inner
            + b"b"
            + b"su"
        )
        return b"\x80\x02}X\x05\0\0\0G_ema" + stub + outer + b"bs."

    def _array(self) -> bytes:
        data = np.arange(6, dtype="<f4").tobytes()
        return (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85U\x01btR(K\x01K\x02K\x03\x86cnumpy\ndtype\nX\x02\0\0\0f4K\0K\x01"
            b"\x87R(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89U"
            + bytes([len(data)])
            + data
            + b"tb"
        )

    def _plain(self, protocol: int) -> bytes:
        import pickle

        return pickle.dumps(
            {"G_ema": ({"a": [1, (2, 3.5), None, b"\xff", "x" * 20, {1, 2}, 1 << 70]}, ("b", ("c", ("d",))))}, protocol
        )

    def make(self, chance: random.Random, folder: Path) -> None:
        data = chance.choice(self.bases)
        if chance.random() < 0.4:
            data = damage.bytes_of(data, chance)
        else:
            places = [place for *_, place in pickletools.genops(data)] + [len(data)]
            parts = [data[start:end] for start, end in zip(places, places[1:])]
            for _ in range(chance.choice((1, 2, 3, 8))):
                number, way = chance.randrange(len(parts)), chance.randrange(6)
                if way == 0:
                    parts.insert(chance.randrange(len(parts)), parts[number])
                elif way == 1:
                    del parts[number]
                elif way == 2:
                    parts.insert(chance.randrange(len(parts)), parts.pop(number))
                elif way == 3:
                    parts[number] = parts[number] * chance.choice((2, 100, 100_000))
                elif way == 4:
                    parts[number] = parts[number][:1] + damage.bytes_of(parts[number][1:], chance)
                else:
                    parts.insert(
                        number,
                        chance.choice(
                            (
                                b"2\x86" * 60,
                                b")\x85" * 1000,
                                b"}",
                                b"]",
                                b"(",
                                b"0",
                                b"q\0",
                                b"h\0",
                                b"R",
                                b"b",
                                b"ctorch\nx\n",
                                b"cos\nsystem\n",
                                b"c__builtin__\nset\n",
                                b"\x82\x01",
                                b"Q",
                                b"s",
                                b"r\xff\xff\xff\x7f",
                                b"X\xff\xff\xff\x7f",
                                b"L" + b"9" * 5000 + b"L\n",
                                b"N",
                                b"t",
                            )
                        ),
                    )
                parts = parts or [b"."]
            data = b"".join(parts)
        (folder / "x.pkl").write_bytes(data)

    def use(self, folder: Path) -> None:
        from lib.generating import published

        named = published.read_published(folder / "x.pkl")
        try:
            published._options(named)
        except (ValueError, KeyError):  # told by who calls it
            return


class Onnx(Kind):
    """Networks: fields of their messages doubled, left out, moved and changed."""

    memory = 4_000_000_000

    def __init__(self, folder: Path):
        from lib.onnx.graph import Graph

        graph = Graph("pictures", ["N", 3, 16, 16])
        weights = graph.constant(np.zeros((2, 3, 3, 3), np.float32))
        first = graph.add("Conv", ["pictures", weights], pads=[1, 1, 1, 1], strides=[1, 1])
        scales = graph.constant(np.ones(4, np.float32))
        second = graph.add("Resize", [graph.add("Relu", [first]), "", scales])
        shape = graph.constant(np.array([1, 1, 1, 1], np.int64))
        self.base = graph.model(
            graph.add("Add", [second, graph.add("Expand", [graph.constant(np.zeros((1, 1, 1, 1), np.float32)), shape])])
        )

    def make(self, chance: random.Random, folder: Path) -> None:
        data = self.base
        for _ in range(chance.choice((1, 1, 2, 4))):
            data = message_changed(data, chance) if chance.random() < 0.85 else damage.bytes_of(data, chance)
        (folder / "x.onnx").write_bytes(data)
        (folder / "x.toml").write_text('[network]\nfile = "x.onnx"\nsize = 16\n')

    def use(self, folder: Path) -> None:
        from lib.onnx.onnx_network import Network

        network = Network(folder / "x.toml")
        network([np.zeros((16, 16, 3), np.uint8)] * 2)


def message_changed(data: bytes, chance: random.Random, depth: int = 0) -> bytes:
    """A protocol buffer with a field changed, wherever in it."""
    fields = list(_fields(data))
    if not fields:
        return damage.bytes_of(data, chance) if data else chance.randbytes(4)
    number, way = chance.randrange(len(fields)), chance.randrange(7)
    key, body = fields[number]
    if way < 4 and isinstance(body, bytes) and depth < 6:
        text = body.isascii() and body.decode().isprintable()
        if text and chance.random() < 0.5:
            body = chance.choice(
                (
                    b"Loop",
                    b"If",
                    b"Scan",
                    b"Tile",
                    b"ConstantOfShape",
                    b"MatMul",
                    b"NonZero",
                    b"Identity",
                    b"Gather",
                    b"",
                    b"x",
                )
            )
        elif len(body) in (16, 32) and chance.random() < 0.7:
            body = np.full(len(body) // 8, chance.choice((0, -1, 1 << 20, 1 << 40, 5)), "<i8").tobytes()
        else:
            body = message_changed(body, chance, depth + 1)
        fields[number] = key, body
    elif way < 4:
        fields[number] = key, chance.choice((0, 1, 2, 7, 16, 1 << 31, (1 << 63) - 1)) if isinstance(body, int) else body
    elif way == 4:
        del fields[number]
    elif way == 5:
        fields.insert(chance.randrange(len(fields) + 1), fields[number])
    else:
        fields.insert(chance.randrange(len(fields)), fields.pop(number))
    return b"".join(
        _varint(key) + (_varint(body) if isinstance(body, int) else _varint(len(body)) * (key & 7 == 2) + body)
        for key, body in fields
    )


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Key and content of each field; nothing where it is no message."""
    place, found = 0, []
    try:
        while place < len(data):
            key, place = _read_varint(data, place)
            kind = key & 7
            if kind == 0:
                body, place = _read_varint(data, place)
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
                body, place = data[place : place + size], place + size
            elif kind == 2:
                size, place = _read_varint(data, place)
                body, place = data[place : place + size], place + size
            else:
                return
            if place > len(data):
                return
            found.append((key, body))
    except IndexError:
        return
    yield from found


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value, place, shift = value | (byte & 127) << shift, place + 1, shift + 7
        if byte < 128:
            return value, place


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


class Addresses(Kind):
    PARTS = (
        "http://",
        "https://",
        "file://",
        "ftp://",
        "//",
        "localhost",
        "127.0.0.1",
        "[::1]",
        "[",
        "@",
        "user:pass@",
        ":99999",
        ":x",
        "/",
        "/a.jpg",
        "?q=%",
        "%00",
        "%41",
        "\u202e",
        " ",
        "\t",
        "#x",
        "\\",
        "..",
        "\0",
        "\ufeff",
        "a" * 3000,
        "xn--",
        "\u00e9",
        "\ud800",
        "*",
    )
    HEADERS = (
        "attachment; filename=",
        "filename*=undefined''%41",
        "filename*=utf-8''%ff%fe",
        'filename="',
        "filename*=",
        ";",
        "=",
        "\\",
        "filename*=utf-16''%00",
        "'" * 50,
        '"' * 50,
        "inline",
    )

    def make(self, chance: random.Random, folder: Path) -> None:
        lines = [
            "".join(chance.choice(self.PARTS) for _ in range(chance.choice((1, 3, 6))))
            for _ in range(chance.choice((1, 5, 20)))
        ]
        data = "\n".join(lines).encode("utf-8", "surrogatepass")
        (folder / "list.txt").write_bytes(damage.bytes_of(data, chance) if chance.random() < 0.3 else data)
        (folder / "header").write_text("".join(chance.choice(self.HEADERS) for _ in range(chance.choice((1, 2, 4)))))

    def use(self, folder: Path) -> None:
        from lib.gathering import addresses, names

        header = (folder / "header").read_text()
        for listed in addresses.read_list(folder / "list.txt"):
            if listed.problem is None:
                try:
                    offered = names.offered_name(listed.address, header)
                except ValueError:  # of that address alone, as gather has it
                    continue
                safe = names.safe_name(offered, ".jpg")
                assert "/" not in safe and "\0" not in safe and not safe.startswith(".")


class Videos(Files):
    def write(self, folder: Path) -> list[Path]:
        import av

        image = picture()
        for name, codec, layout in (
            ("a.mp4", "libx264", "yuv420p"),
            ("b.mkv", "libx264", "yuv420p"),
            ("c.avi", "mpeg4", "yuv420p"),
            ("d.ts", "libx264", "yuv420p"),
            ("e.webm", "libvpx", "yuv420p"),
            ("f.mov", "mjpeg", "yuvj420p"),
            ("g.gif", "gif", "rgb8"),
            ("h.mpg", "mpeg2video", "yuv420p"),
            ("i.flv", "flv1", "yuv420p"),
        ):
            try:
                with av.open(str(folder / name), "w") as container:
                    stream = container.add_stream(codec, Fraction(25))
                    stream.width = stream.height = SIDE
                    stream.pix_fmt = layout
                    for number in range(6):
                        frame = av.VideoFrame.from_ndarray(np.roll(image, 4 * number, 1), "rgb24").reformat(
                            format=layout
                        )
                        container.mux(stream.encode(frame))
                    container.mux(stream.encode())
            except (av.error.FFmpegError, ValueError):  # this build lacks it
                (folder / name).unlink(missing_ok=True)
        (folder / "j.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\na.mp4\n")
        return [path for path in folder.iterdir() if path.is_file()]

    def changed(self, name: str, data: bytes, chance: random.Random) -> bytes:
        if name.endswith((".mp4", ".mov")):
            return boxes_changed(data, chance)
        head = damage.bytes_of(data[:600], chance)
        return head + data[600:]

    def use(self, folder: Path) -> None:
        import av

        from lib.media.endpoints.source import open_source
        from lib.videotools import info

        av.logging.set_level(None)
        path = self.one(folder)
        source = open_source(path)
        assert source.count is None or source.count >= 0
        for frame, _ in zip(source, range(12)):
            assert frame.image.dtype == np.uint8
        info.facts(path)


def boxes_changed(data: bytes, chance: random.Random) -> bytes:
    """An MP4 with numbers changed in its boxes."""
    changed = bytearray(data)
    kinds = (
        b"moov",
        b"mvhd",
        b"tkhd",
        b"mdhd",
        b"stsd",
        b"avc1",
        b"avcC",
        b"stts",
        b"ctts",
        b"stss",
        b"stsc",
        b"stsz",
        b"stco",
        b"elst",
        b"hdlr",
        b"dref",
        b"ftyp",
        b"mdat",
        b"trak",
        b"mp4v",
        b"pasp",
    )
    places = [place for kind in kinds if (place := data.find(kind)) >= 4]
    for _ in range(chance.choice((1, 2, 4))):
        place = chance.choice(places) + chance.choice((-4, 0, 4, 8, 12, 16, 20, 24, 28, 32, 76))
        number = chance.choice((0, 1, 2, 255, 16000, 65535, 1 << 31, (1 << 32) - 1, chance.randrange(1 << 32)))
        size = chance.choice((1, 2, 4, 4))
        changed[max(place, 0) : max(place, 0) + size] = (number & (1 << 8 * size) - 1).to_bytes(size, "big")
    return bytes(changed)


KINDS: dict[str, type[Kind]] = {
    "pictures": Pictures,
    "faces": Faces,
    "stores": Stores,
    "packed": Packed,
    "models": Models,
    "json": Json,
    "toml": Toml,
    "options": Options,
    "pickles": Pickles,
    "onnx": Onnx,
    "addresses": Addresses,
    "videos": Videos,
}
SLOW = {"onnx": 20, "models": 3, "videos": 2}  # how many times as long as others a case takes

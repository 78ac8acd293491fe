"""Files of an attacker, each given to the function that reads its kind; says what came of it.

python hostile_files_script.py GROUP FOLDER    make the files of a group in a folder, and read them

Memory and processor time are limited from outside. A line of JSON for each attack says what came of
it; an attack that has no line has ended the process.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

MEMORY = 3 * 2**30  # bytes of addresses, beside what the library itself takes
SECONDS = 30  # of the processor, for all attacks of a group

Attack = Callable[[Path], Any]
OPERATION = "identity"


def main(group: str, folder: Path) -> None:
    from torchvision.transforms.v2 import functional  # noqa: F401  # what a user has loaded

    from nasworkbench import data, tables  # noqa: F401
    from nasworkbench.errors import WorkbenchError

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    for name, attack in ATTACKS[group].items():
        place = folder / name.replace(" ", "_")
        place.mkdir(parents=True)
        try:
            outcome = {"value": repr(attack(place))[:200]}
        except WorkbenchError as error:
            outcome = {"error": type(error).__name__, "message": str(error)}
        except BaseException as error:
            outcome = {"escaped": f"{type(error).__name__}: {error}"[:500]}
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome["megabytes"] = (most - before) // 1024
        outcome["ran"] = (place / "ran").exists()
        print(json.dumps({"attack": name} | outcome), flush=True)
    subprocess.run(["rm", "-rf", folder])  # Python cannot: thousands of folders in each other


# --- genotypes ----------------------------------------------------------------------------------


def block(left: int = 0, right: int = 1, **changes: Any) -> dict[str, Any]:
    return {"left": left, "left_op": OPERATION, "right": right, "right_op": OPERATION} | changes


def genotype(blocks: list[Any], inputs: Any = 2, **changes: Any) -> str:
    cell = {"blocks": blocks, "inputs": inputs}
    record = {"format": "nasworkbench.genotype/1", "normal": cell, "reduction": cell}
    return json.dumps(record | changes)


def loaded(content: str | bytes | Callable[[], str]) -> Attack:
    """Load a genotype's file with this content, and use it; a large one is made when it is used."""

    def attack(folder: Path) -> Any:
        from nasworkbench.genotype import Genotype

        path = folder / "genotype.json"
        text = content() if callable(content) else content
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return Genotype.load(path).key

    return attack


def loaded_from(make: Callable[[Path], Path]) -> Attack:
    def attack(folder: Path) -> Any:
        from nasworkbench.genotype import Genotype

        return Genotype.load(make(folder))

    return attack


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.json")
    return folder / "pipe.json"


def link_to_itself(folder: Path) -> Path:
    (folder / "loop.json").symlink_to(folder / "loop.json")
    return folder / "loop.json"


def hole(folder: Path) -> Path:
    """A file of a terabyte that takes no room on the disk."""
    with (folder / "hole.json").open("wb") as file:
        file.truncate(2**40)
    return folder / "hole.json"


def ring(size: int) -> str:
    """A ring: no block can be told from the one beside it."""
    edges = [block(2 + n, 2 + (n + 1) % size) for n in range(size)]
    return genotype([block()] * size + edges)


def rings(sizes: range) -> str:
    """Rings of several sizes, which take the factorial of their number to put in order."""
    edges, start = [], 2
    for size in sizes:
        edges += [block(start + n, start + (n + 1) % size) for n in range(size)]
        start += size
    return genotype([block()] * sum(sizes) + edges)


GENOTYPES: dict[str, Attack] = {
    "ten megabytes of blocks": loaded(lambda: genotype([block()] * 100_000)),
    "a long name": loaded(genotype([block()], name="x" * 500_000)),
    "a billion inputs": loaded(genotype([block()], inputs=10**9)),
    "a million states": loaded(genotype([block(10**6)])),
    "a thousand blocks": loaded(genotype([block()] * 999)),
    "a concat without end": loaded(
        genotype([block()]).replace('"inputs"', '"concat": [' + "2," * 90_000 + '2], "inputs"')
    ),
    "a ring of blocks": loaded(lambda: ring(498)),
    "many rings": loaded(lambda: rings(range(3, 25))),
    "deep lists": loaded("[" * 100_000),
    "deep objects": loaded('{"a":' * 100_000),
    "a key twice": loaded(genotype([block()]).replace('"inputs": 2', '"inputs": 3, "inputs": 2')),
    "not a number": loaded(genotype([block(float("nan"))])),
    "infinity": loaded(genotype([block()], inputs=float("inf"))),
    "beyond all floats": loaded(
        genotype([block()], inputs=0).replace('"inputs": 0', '"inputs": 1e999')
    ),
    "a huge number": loaded(
        genotype([block()], inputs=0).replace('"inputs": 0', '"inputs": ' + "9" * 100_000)
    ),
    "escapes in a field": loaded(genotype([block(**{"\x1b[2J\x1b]0;owned\x07\r\n": 1})])),
    "escapes in an operation": loaded(genotype([block(left_op="\x1b[31m\u202e")])),
    "half a surrogate": loaded(genotype([block(**{"\ud800": 1})])),
    "not UTF-8": loaded(b"\xff\xfe" + genotype([block()]).encode("utf-16-le")),
    "zeros": loaded(bytes(1000)),
    "a pipe": loaded_from(pipe),
    "a folder": loaded_from(lambda folder: folder),
    "a device without end": loaded_from(lambda folder: Path("/dev/zero")),
    "a link to itself": loaded_from(link_to_itself),
    "a terabyte": loaded_from(hole),
    "a null character": loaded_from(lambda folder: folder / "a\0b.json"),
}


# --- other people's texts -----------------------------------------------------------------------


def read_as(dialect: str, text: str, repeated: int = 1) -> Attack:
    def attack(folder: Path) -> Any:
        from nasworkbench.dialects.detect import detect

        return detect(text * repeated, dialect)

    return attack


SLIM = '{"normal": {%s, "used_hiddenstates": [1, 1, 0]}, "reduction": 1}'
LISTS = '"operations": ["none", "none"], "hiddenstate_indices": [0, 1]'
TEXTS: dict[str, Attack] = {
    **{
        f"ten megabytes as {dialect}": read_as(dialect, "normal: 0 ", 1_000_000)
        for dialect in ("darts", "slim", "enas", "nni", "JSON")
    },
    **{
        f"parentheses as {dialect}": read_as(dialect, "(" * 99_000)
        for dialect in ("darts", "slim", "nni", "JSON")
    },
    "signs as slim": read_as("slim", "-" * 99_000 + "1"),
    "a sum as nni": read_as("nni", "1" + "+1" * 49_000),
    "attributes as darts": read_as("darts", "a" + ".a" * 49_000),
    "a power as nni": read_as("nni", "{9**9**9: 1}"),
    "text times a number as nni": read_as("nni", "{'a' * 10**9: 1}"),
    "spaces as enas": read_as("enas", "normal:" + " " * 49_000 + "x\nreduce:" + " " * 49_000 + "x"),
    "digits as enas": read_as("enas", "normal:" + "1" * 49_000 + "x\n" + "1 " * 20_000 + "x"),
    "hexadecimal digits as slim": read_as(
        "slim", SLIM % LISTS.replace("[0, ", "[0x" + "f" * 9000 + ", ")
    ),
    "a key twice as slim": read_as("slim", SLIM % f"{LISTS}, {LISTS}"),
    "a long range as darts": read_as(
        "darts", "Genotype([('skip_connect', 0), ('skip_connect', 1)], range(0, 10**9), [], [])"
    ),
    "a call as darts": read_as(
        "darts", "Genotype([], [], [], __import__('os').system('touch ran'))"
    ),
    "escapes as darts": read_as(
        "darts", "Genotype([('\\x1b[2J\\x1b]0;owned\\x07', 0)], [2], [], [])"
    ),
    "null characters as slim": read_as("slim", "\0" * 1000),
    "half a surrogate as nni": read_as("nni", "{'\ud800': 1}"),
}


# --- tables -------------------------------------------------------------------------------------


def npy(array: Any, **header: Any) -> bytes:
    """An array as numpy writes it; with another shape or dtype in its header, if given."""
    buffer = io.BytesIO()
    numpy.save(buffer, array, allow_pickle=True)
    content = buffer.getvalue()
    if header:
        fields = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape} | header
        words = repr(fields).encode()
        words += b" " * (-(len(words) + 11) % 64) + b"\n"
        size = struct.unpack_from("<H", content, 8)[0]
        content = (
            b"\x93NUMPY\x01\x00" + struct.pack("<H", len(words)) + words + content[10 + size :]
        )
    return content


class Runs:
    """Pickled, it makes a file as soon as somebody unpickles it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.folder / 'ran'}",)


ABOUT: dict[str, Any] = {"format": 1, "name": "t", "columns": [], "info": {}}


def members(about: Any = ABOUT, **changed: Any) -> dict[str, bytes]:
    """The parts of a table of three cells; others in their place."""
    from nasworkbench.spaces import CellSpace

    space = CellSpace(1, ("identity", "conv_1x1"), ("add",), tied=True)
    unique = space.unique
    if isinstance(about, dict):
        about = json.dumps({"space": space.settings()} | about).encode()
    parts = {
        "about": numpy.frombuffer(about, numpy.uint8),
        "tokens": numpy.array(unique.tokens[:3]),
        "keys": numpy.array(unique.keys[:3], dtype="S"),
        "validation": numpy.full((3, 1), 0.5),
        "test": numpy.full((3, 1), 0.5),
    }
    return {
        f"{name}.npy": part if isinstance(part, bytes) else npy(part)
        for name, part in (parts | changed).items()
    }


def table(make: Callable[[Path], dict[str, bytes] | bytes]) -> Attack:
    def attack(folder: Path) -> Any:
        from nasworkbench.tables import read

        content, path = make(folder), folder / "table.npz"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for name, data in content.items():
                    archive.writestr(name, data)
        found = read(path)
        return found, found.test

    return attack


def bomb(folder: Path) -> dict[str, bytes]:
    return members(validation=npy(numpy.zeros((1, 1)), shape=(40_000_000, 1)) + bytes(320_000_000))


def repeated(folder: Path) -> bytes:
    """Ten thousand entries for one and the same part of a megabyte."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tokens.npy", bytes(2**20))
        archive.filelist.extend(archive.filelist * 9_999)
    return buffer.getvalue()


def cut(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members().items():
            archive.writestr(name, data)
    return buffer.getvalue()[:-400]


TABLES: dict[str, Attack] = {
    "a zip bomb": table(bomb),
    "a part ten thousand times": table(repeated),
    "cut short": table(cut),
    "objects": table(lambda folder: members(keys=numpy.array([Runs(folder)] * 3, dtype=object))),
    "objects of the test": table(
        lambda f: members(test=numpy.array([[Runs(f)]] * 3, dtype=object))
    ),
    "a negative shape": table(lambda f: members(tokens=npy(numpy.zeros(3, "i8"), shape=(-1, 5)))),
    "a huge shape": table(lambda f: members(validation=npy(numpy.zeros(3), shape=(2**40, 1)))),
    "a shape beyond all": table(
        lambda f: members(validation=npy(numpy.zeros(3), shape=(2**62, 9)))
    ),
    "keys of no bytes": table(
        lambda f: members(keys=npy(numpy.zeros(3, "S1"), descr="|S0", shape=(10**8,)))
    ),
    "keys of another kind": table(lambda f: members(keys=numpy.array(["a", "b", "c"]))),
    "escapes in a key": table(lambda f: members(keys=numpy.array([b"\x1b[2J", b"b", b"c"]))),
    "floats as tokens": table(lambda f: members(tokens=numpy.zeros((3, 5)))),
    "not accuracies": table(lambda f: members(validation=numpy.full((3, 1), numpy.nan))),
    "deep JSON": table(lambda f: members(b"[" * 100_000)),
    "long JSON": table(lambda f: members(b"[" + b"[]," * 5_000_000 + b"[]]")),
    "a field twice": table(lambda f: members(b'{"format": 1, "format": 1}')),
    "a name that is a list": table(lambda f: members(ABOUT | {"name": ["t"]})),
    "escapes in the name": table(lambda f: members(ABOUT | {"name": "\x1b]0;owned\x07"})),
    "info that is text": table(lambda f: members(ABOUT | {"info": "much"})),
    "architectures that are text": table(
        lambda f: members(ABOUT | {"info": {"architectures": "x"}})
    ),
    "a space of a million blocks": table(lambda f: members(ABOUT | {"space": {"blocks": 10**6}})),
    "a space of a thousand blocks": table(lambda f: members(ABOUT | {"space": {"blocks": 998}})),
    "a column that is missing": table(lambda f: members(ABOUT | {"columns": ["x"]})),
    "a pipe": lambda folder: read_table(pipe(folder)),
    "a device without end": lambda folder: read_table(Path("/dev/zero")),
    "a terabyte": lambda folder: read_table(hole(folder)),
}


def read_table(path: Path) -> Any:
    from nasworkbench.tables import read

    return read(path)


def graph(make: Callable[[Path], bytes], known: bool = True) -> Attack:
    """A file of NAS-Bench-Graph, whose checksum is known to be right or is another one."""

    def attack(folder: Path) -> Any:
        from nasworkbench.nas_bench_graph.table import GRAPH_TABLES, read_records

        data, path = make(folder), folder / "cora.bench"
        path.write_bytes(data)
        right = hashlib.sha256(data).hexdigest()
        return read_records(path, right if known else GRAPH_TABLES["graph-cora"])

    return attack


def doubled_tuples(folder: Path) -> bytes:
    """A key of sixty tuples that each hold the one before twice: its hash takes 2**60 steps."""
    return b"\x80\x04})" + b"2\x86" * 60 + b"K\x01s."


GRAPHS: dict[str, Attack] = {
    "a call": graph(lambda folder: pickle.dumps(Runs(folder))),
    "a call of eval": graph(lambda folder: b"cbuiltins\neval\n(S'1'\ntR."),
    "a call of numpy": graph(lambda folder: b"cnumpy.core.multiarray\n_reconstruct\n(tR."),
    "an attribute": graph(lambda folder: b"cnumpy\ndtype\n}S'a'\nI1\nsb."),
    "a dict of text": graph(lambda folder: pickle.dumps({1: {"perf": "high"}})),
    "cut short": graph(lambda folder: pickle.dumps({1: {}})[:-2]),
    "no pickle": graph(lambda folder: b"<html>404</html>"),
    "a huge memo": graph(lambda folder: b"\x80\x04}r\xff\xff\xff\x7f.", known=False),
    "a huge bytearray": graph(
        lambda folder: b"\x80\x05\x96" + struct.pack("<Q", 2**40), known=False
    ),
    "doubled tuples": graph(doubled_tuples, known=False),
    "a call without the checksum": graph(lambda folder: pickle.dumps(Runs(folder)), known=False),
}


# --- images -------------------------------------------------------------------------------------


def data_set(name: str, make: Callable[[Path], None]) -> Attack:
    def attack(folder: Path) -> Any:
        from nasworkbench import data

        make(folder)
        return data.load(name, root=folder, image_size=32 if name == "imagefolder" else None)

    return attack


def picture(content: Callable[[], bytes], file: str = "b.png") -> Attack:
    """A folder of four small pictures and this one."""

    def make(folder: Path) -> None:
        (folder / "train" / "cat").mkdir(parents=True)
        for number in range(4):
            (folder / "train" / "cat" / f"{number}.png").write_bytes(png(40, 40))
        (folder / "train" / "cat" / file).write_bytes(content())

    return data_set("imagefolder", make)


def png(width: int, height: int) -> bytes:
    """A white picture of one bit a pixel: it packs to a thousandth."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(1)
    row = b"\0" + b"\xff" * ((width + 7) // 8)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def folder_with_a_pipe(folder: Path) -> None:
    (folder / "train" / "cat").mkdir(parents=True)
    (folder / "train" / "cat" / "a.png").write_bytes(png(40, 40))
    os.mkfifo(folder / "train" / "cat" / "b.png")


def folder_of_links(folder: Path) -> None:
    """Two links to the folder itself: 2**40 paths."""
    (folder / "train" / "cat").mkdir(parents=True)
    for name in ("a", "b"):
        (folder / "train" / "cat" / name).symlink_to(folder / "train" / "cat")


def folder_in_folders(folder: Path) -> None:
    (folder / "train" / "cat").mkdir(parents=True)
    os.chdir(folder / "train" / "cat")
    for _ in range(1_500):
        os.mkdir("d")
        os.chdir("d")
    os.chdir(folder)


def folder_of_many(folder: Path) -> None:
    (folder / "train" / "cat").mkdir(parents=True)
    first = folder / "train" / "cat" / "0.png"
    first.write_bytes(b"no picture")
    for number in range(1, 60_000):  # a file system allows 65,000 names of one file
        os.link(first, first.with_name(f"{number}.png"))
    for number in range(40_000):
        first.with_name(f"{number}.txt").touch()


def root_of_links(folder: Path) -> Any:
    from nasworkbench import data

    (folder / "loop").symlink_to(folder / "loop")
    return data.load("imagefolder", root=folder / "loop")


def idx(images: Callable[[], bytes]) -> Callable[[Path], None]:
    """Fashion-MNIST with this file of images."""

    def make(folder: Path) -> None:
        for stem in ("train", "t10k"):
            labels = b"\0\0\x08\x01" + struct.pack(">I", 3) + bytes(3)
            (folder / f"{stem}-labels-idx1-ubyte").write_bytes(labels)
            (folder / f"{stem}-images-idx3-ubyte.gz").write_bytes(images())

    return make


def idx_pipe(folder: Path) -> None:
    idx(bytes)(folder)
    (folder / "train-images-idx3-ubyte.gz").unlink()
    os.mkfifo(folder / "train-images-idx3-ubyte.gz")


def cifar(make: Callable[[Path], None]) -> Attack:
    def write(folder: Path) -> None:
        place = folder / "cifar-10-batches-py"
        place.mkdir()
        for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "batches.meta"):
            make(place / name)

    return data_set("cifar10", write)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


SHAPE = struct.pack(">3I", 3, 28, 28)
IMAGES: dict[str, Attack] = {
    "a picture of 81 million pixels": picture(lambda: png(9_000, 9_000)),
    "a picture of 400 million pixels": picture(lambda: png(20_000, 20_000)),
    "a picture of one column": picture(lambda: png(1, 1_000_000)),
    "half a picture": picture(lambda: png(400, 400)[:100]),
    "a program instead of a picture": picture(
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    ),
    "an empty picture": picture(lambda: b""),
    "a pipe": data_set("imagefolder", folder_with_a_pipe),
    "links in circles": data_set("imagefolder", folder_of_links),
    "fifteen hundred folders deep": data_set("imagefolder", folder_in_folders),
    "a hundred thousand files": data_set("imagefolder", folder_of_many),
    "a root that is a link to itself": root_of_links,
    "two gigabytes of zeros": data_set(
        "fashion-mnist",
        idx(lambda: gzip.compress(b"\0\0\x08\x03" + SHAPE) + gzip.compress(bytes(2**26)) * 36),
    ),
    "sizes beyond the file": data_set(
        "fashion-mnist", idx(lambda: gzip.compress(b"\0\0\x08\x03" + b"\xff" * 12))
    ),
    "255 dimensions": data_set(
        "fashion-mnist", idx(lambda: gzip.compress(b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"1"))
    ),
    "half a gzip": data_set("fashion-mnist", idx(lambda: gzip.compress(bytes(10_000))[:-20])),
    "a pipe of images": data_set("fashion-mnist", idx_pipe),
    "pickles as CIFAR-10": cifar(
        lambda path: path.write_bytes(pickle.dumps(Runs(path.parents[1])))
    ),
    "terabytes as CIFAR-10": cifar(sparse),
    "pipes as CIFAR-10": cifar(os.mkfifo),
}

ATTACKS: dict[str, dict[str, Attack]] = {
    "genotypes": GENOTYPES,
    "texts": TEXTS,
    "tables": TABLES,
    "graphs": GRAPHS,
    "images": IMAGES,
}

if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

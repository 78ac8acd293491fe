"""How the store writes what is neither text nor a number: small arrays, and a controller's state.

Arrays are raw little-endian bytes; a state is JSON with its arrays beside it. So nothing that is
read back can run code, and every blob has a digest that tells when a bit has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy
import torch

#: In the JSON of a state, ``{ARRAY: 3}`` stands for the array number 3, and ``{PAIRS: [[k, v]]}``
#: for a dict whose keys are not text (the state of torch's optimisers counts parameters from 0).
ARRAY, PAIRS = "array", "pairs"

#: The kinds of numpy's dtypes that are stored: booleans, whole numbers, and floats.
NUMBERS = "biuf"

#: Name, kind (json, numpy or torch), shape as JSON, dtype, and the bytes.
Part = tuple[str, str, str, str, bytes]


def digest(values: Iterable[Any]) -> bytes:
    """Eight bytes that depend on every bit of these numbers, texts and blobs."""
    hasher = hashlib.blake2b(digest_size=8)
    for value in values:
        blob = value if isinstance(value, bytes) else repr(value).encode()
        hasher.update(len(blob).to_bytes(8, "little") + blob)
    return hasher.digest()


def pack_tokens(tokens: Sequence[int]) -> bytes:
    """Two bytes a token."""
    return numpy.asarray(tokens, "<u2").tobytes()


def unpack_tokens(blob: bytes) -> tuple[int, ...]:
    return tuple(numpy.frombuffer(blob, "<u2").tolist())


def pack_log_probs(values: Sequence[float]) -> bytes:
    """Four bytes each if that is exact, as it is for a policy in float32, else eight."""
    exact = numpy.asarray(values, "<f8")
    short = exact.astype("<f4")
    return (short if numpy.array_equal(short, exact) else exact).tobytes()


def unpack_log_probs(blob: bytes, count: int) -> tuple[float, ...]:
    """The log-probabilities of ``count`` tokens; none for a controller without a policy."""
    return tuple(numpy.frombuffer(blob, "<f4" if len(blob) == 4 * count else "<f8").tolist())


def pack_distributions(flat: numpy.ndarray | None) -> bytes:
    """Two bytes for each choice of each decision."""
    return b"" if flat is None else numpy.asarray(flat, "<f2").tobytes()


def unpack_distributions(blob: bytes) -> numpy.ndarray | None:
    return numpy.frombuffer(blob, "<f2") if blob else None


def pack_state(state: Any) -> list[Part]:
    """Nested dicts and lists of JSON values, numpy arrays and torch tensors, in parts.

    Raises:
        TypeError, ValueError: something else is in it.
    """
    parts: list[Part] = []

    def encode(value: Any) -> Any:
        kind = "torch" if isinstance(value, torch.Tensor) else "numpy"
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu().numpy()
        if isinstance(value, numpy.ndarray):
            array = value.astype(value.dtype.newbyteorder("<"), copy=False)
            if array.dtype.kind not in NUMBERS:
                raise TypeError(f"an array of {array.dtype}; numbers are stored")
            shape, name = json.dumps(array.shape), str(len(parts))
            parts.append((name, kind, shape, array.dtype.str, array.tobytes()))
            return {ARRAY: len(parts) - 1}
        if isinstance(value, dict):
            if all(isinstance(key, str) for key in value) and not value.keys() & {ARRAY, PAIRS}:
                return {key: encode(item) for key, item in value.items()}
            return {PAIRS: [[key, encode(item)] for key, item in value.items()]}
        if isinstance(value, list | tuple):
            return [encode(item) for item in value]
        return value

    text = json.dumps(encode(state))
    return [*parts, ("state", "json", "", "", text.encode())]


def unpack_state(parts: Iterable[Part]) -> Any:
    """What :func:`pack_state` packed; tuples have become lists.

    Raises:
        TypeError, ValueError, LookupError: the parts are damaged.
    """
    arrays: dict[int, Any] = {}
    text = None
    for name, kind, shape, dtype, blob in parts:
        if kind == "json":
            text = blob
            continue
        if numpy.dtype(dtype).kind not in NUMBERS:
            raise TypeError(f"an array of {dtype}")
        array = numpy.frombuffer(blob, dtype).reshape(json.loads(shape)).copy()
        arrays[int(name)] = torch.from_numpy(array) if kind == "torch" else array
    if text is None:
        raise ValueError("its JSON part is missing")

    def decode(value: Any) -> Any:
        if isinstance(value, list):
            return [decode(item) for item in value]
        if isinstance(value, dict):
            if value.keys() == {ARRAY}:
                return arrays[value[ARRAY]]
            if value.keys() == {PAIRS}:
                return {key: decode(item) for key, item in value[PAIRS]}
            return {key: decode(item) for key, item in value.items()}
        return value

    return decode(json.loads(text))

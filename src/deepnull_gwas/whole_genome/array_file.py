"""A file of named arrays that are written and read piece by piece, with a description in JSON.

Layout: :data:`MAGIC`, the length of the description (uint64, little-endian), the description, and the arrays in C
order, each from a multiple of 64 bytes on. The same content gives the same bytes, in whatever order it is written.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deepnull_gwas.tables import atomic_path, own_file

MAGIC = b"deepnull-gwas arrays 1\n\x00"
_ALIGNED = 64


class ArrayWriter:
    """Writes arrays of known shapes; see :func:`write_arrays`.

    Parameters
    ----------
    descriptor
        Of the open file.
    places
        Name -> offset in the file, dtype and shape.
    """

    def __init__(self, descriptor: int, places: Mapping[str, tuple[int, np.dtype, tuple[int, ...]]]):
        self._descriptor, self._places = descriptor, places

    def write(self, name: str, start: int, values: np.ndarray) -> None:
        """Write rows of an array, from row ``start`` on; several threads may write at a time."""
        offset, dtype, shape = self._places[name]
        if values.dtype != dtype or values.shape[1:] != shape[1:] or start + len(values) > shape[0]:
            raise ValueError(f"{name}: {values.dtype}{values.shape} from {start} into {dtype}{shape}")
        data = memoryview(np.ascontiguousarray(values)).cast("B") if values.size else memoryview(b"")
        offset += start * int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        while len(data):
            written = os.pwrite(self._descriptor, data, offset)
            data, offset = data[written:], offset + written


@contextlib.contextmanager
def write_arrays(
    path: str | Path, description: Mapping[str, Any], shapes: Mapping[str, tuple[Any, tuple[int, ...]]]
) -> Iterator[ArrayWriter]:
    """Write a file of arrays, atomically.

    Parameters
    ----------
    path
        Where to.
    description
        Anything JSON can hold.
    shapes
        Name -> dtype and shape of each array; what is not written of it is 0.

    Yields
    ------
    What writes their rows.
    """
    kinds = {name: (np.dtype(dtype), tuple(map(int, shape))) for name, (dtype, shape) in shapes.items()}
    listed = [[name, dtype.str, list(shape)] for name, (dtype, shape) in kinds.items()]
    text = json.dumps({"arrays": listed, "description": description}, sort_keys=True).encode()
    head = MAGIC + len(text).to_bytes(8, "little") + text
    places, end = {}, len(head)
    for name, (dtype, shape) in kinds.items():
        start = -(-end // _ALIGNED) * _ALIGNED
        places[name] = (start, dtype, shape)
        end = start + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(head)
        file.flush()
        os.truncate(file.fileno(), end)
        yield ArrayWriter(file.fileno(), places)


class ArrayFile:
    """Reads a file of :func:`write_arrays`; a damaged one is set aside (:func:`deepnull_gwas.tables.set_aside`).

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    description
        What was written as such.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        with own_file(path, ValueError, KeyError), open(path, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise ValueError("not a file of arrays")
            size = int.from_bytes(file.read(8), "little")
            head = json.loads(file.read(size))
            self.description: dict[str, Any] = head["description"]
            end = file.tell()
            self._places: dict[str, tuple[int, np.dtype, tuple[int, ...]]] = {}
            for name, kind, shape in head["arrays"]:
                dtype, start = np.dtype(kind), -(-end // _ALIGNED) * _ALIGNED
                self._places[name] = (start, dtype, tuple(shape))
                end = start + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            if os.fstat(file.fileno()).st_size != end:
                raise ValueError(f"{os.fstat(file.fileno()).st_size:,} bytes, expected {end:,}")

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array."""
        return self._places[name][2]

    def read(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Read rows ``start`` to ``stop`` (exclusive; None, the last) of an array."""
        offset, dtype, shape = self._places[name]
        rows = max(0, (shape[0] if stop is None else min(stop, shape[0])) - start)
        width = int(np.prod(shape[1:], dtype=np.int64))
        data = np.fromfile(self.path, dtype, rows * width, offset=offset + start * width * dtype.itemsize)
        return data.reshape(rows, *shape[1:])

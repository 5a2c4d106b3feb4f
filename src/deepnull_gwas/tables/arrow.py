"""Columns of Arrow tables as numpy arrays and back, without pandas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa


def to_numpy(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of an Arrow table without missing values as a numpy array (text as objects).

    Arrow's own conversion imports pandas, which takes half a second that a short job does not have.
    """
    array = column.combine_chunks()
    if pa.types.is_floating(array.type) or pa.types.is_integer(array.type):
        return np.from_dlpack(array)
    if pa.types.is_boolean(array.type):
        bits = np.frombuffer(array.buffers()[1], dtype=np.uint8)
        return np.unpackbits(bits, bitorder="little")[array.offset : array.offset + len(array)].astype(bool)
    return np.array(array.to_pylist(), dtype=object)


def to_arrow(values: np.ndarray) -> pa.Array:
    """Return a numeric numpy array as an Arrow array, without the import of pandas in Arrow's own conversion."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def to_words(codes: np.ndarray, words: Sequence[str]) -> pa.DictionaryArray:
    """Return int8 codes as an Arrow dictionary array of the words that they stand for."""
    text = [word.encode() for word in words]
    ends = np.cumsum([0, *map(len, text)]).astype(np.int32)
    dictionary = pa.StringArray.from_buffers(len(text), pa.py_buffer(ends), pa.py_buffer(b"".join(text)))
    return pa.DictionaryArray.from_arrays(to_arrow(codes.astype(np.int8)), dictionary)

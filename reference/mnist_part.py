"""Writes embedded/mnist: 2,000 images of MNIST to train on and 2,000 to test on, as gzipped IDX files.

    python reference/mnist_part.py DIR    # with t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz

Both are parts of MNIST's 10,000 test images: the first 2,000, and the last 2,000.
"""

import gzip
import pathlib
import struct
import sys

N = 2000
source = pathlib.Path(sys.argv[1])
to = pathlib.Path(__file__).parent.parent / "embedded/mnist"
to.mkdir(parents=True, exist_ok=True)
for name, dimensions in (("images-idx3-ubyte.gz", 3), ("labels-idx1-ubyte.gz", 1)):
    data = gzip.decompress((source / f"t10k-{name}").read_bytes())
    shape = struct.unpack(f">{dimensions}I", data[4 : 4 + 4 * dimensions])
    size = 1 if dimensions == 1 else shape[1] * shape[2]
    rows = data[4 + 4 * dimensions :]
    assert shape[0] == 10000 and len(rows) == shape[0] * size, name
    for part, some in (("train", rows[: N * size]), ("test", rows[-N * size :])):
        header = data[:4] + struct.pack(f">{dimensions}I", N, *shape[1:])
        (to / f"{part}-{name}").write_bytes(gzip.compress(header + some, 9, mtime=0))

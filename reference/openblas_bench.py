"""Compares bench/gemm with OpenBLAS (through numpy) on BERT-base's shapes, in one run of short alternating turns.

    OPENBLAS_CORETYPE=Haswell python reference/openblas_bench.py [--threads 1 2] [--turns 7] [--json FILE]

Set OPENBLAS_CORETYPE=Haswell on processors with AVX-512, so that both sides use AVX2. For each shape the two sides take
turns (ours, numpy, ours, numpy, ...), with twenty runs a turn; a side's figure is the median of its turns' best runs,
so that other load of the machine affects both sides alike. Packing of operands is part of a run on both sides. Needs
numpy 2.4 and Go.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

SHAPES = [(768, 768), (768, 3072), (3072, 768)]  # in, out
ROWS = [256, 512, 2048]
SETTLE = 0.15  # seconds: OpenBLAS's threads spin for some time after a product, which would slow the other side's turn


def cases():
    for m in ROWS:
        for inputs, outputs in SHAPES:
            yield dict(op="X·Wᵀ", m=m, n=outputs, k=inputs)
            yield dict(op="Y·W", m=m, n=inputs, k=outputs)


def serve():
    """The numpy side: answers requests from standard input as bench/gemm -serve does."""
    import numpy as np

    rng = np.random.default_rng(1)
    last, run = None, None
    for line in sys.stdin:
        request = json.loads(line)
        m, n, k = request["m"], request["n"], request["k"]
        key = (request["op"], m, n, k)
        if key != last:
            a = rng.random((m, k), dtype=np.float32) - np.float32(0.5)
            b = rng.random((n, k) if request["op"] == "X·Wᵀ" else (k, n), dtype=np.float32) - np.float32(0.5)
            if request["op"] == "X·Wᵀ":
                b = b.T
            out = np.empty((m, n), dtype=np.float32)
            run = lambda: np.matmul(a, b, out=out)
            run()
            last = key
        answer = {"seconds": [], "cpu_seconds": []}
        for _ in range(request["repeats"]):
            start, cpu_start = time.perf_counter(), time.process_time()
            run()
            answer["seconds"].append(time.perf_counter() - start)
            answer["cpu_seconds"].append(time.process_time() - cpu_start)
        print(json.dumps(answer), flush=True)


class Side:
    def __init__(self, command, **environment):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})

    def seconds(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["seconds"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(binary, threads, turns, repeats):
    ours = Side([binary, "-serve", f"-threads={threads}"])
    numpy = Side([sys.executable, __file__, "--serve"], OPENBLAS_NUM_THREADS=str(threads))
    rows = []
    for case in cases():
        best = {ours: [], numpy: []}
        for _ in range(turns):
            for side in (ours, numpy):
                best[side].append(min(side.seconds(dict(case, repeats=repeats))))
                if threads > 1:
                    time.sleep(SETTLE)
        flops = 2e-9 * case["m"] * case["n"] * case["k"]
        row = dict(case, threads=threads)
        for name, side in (("ours", ours), ("openblas", numpy)):
            row[name] = flops / statistics.median(best[side])
            row[name + "_best"] = flops / min(best[side])
        row["ratio"] = row["ours"] / row["openblas"]
        row["ratio_best"] = row["ours_best"] / row["openblas_best"]
        rows.append(row)
        print("| {op} | {m} | {k} | {n} | {threads} | {ours:.1f} | {openblas:.1f} | {ratio:.2f} | {ours_best:.1f} | "
              "{openblas_best:.1f} | "
              "{ratio_best:.2f} |".format(**row), flush=True)
    ours.close()
    numpy.close()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument(
        "--repeats", type=int, default=20, help="runs in a turn: enough that waking the threads does not count",
    )
    parser.add_argument("--json", help="also write the figures to this file")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    print("OPENBLAS_CORETYPE =", os.environ.get("OPENBLAS_CORETYPE", "(not set)"))
    print(
        "| product | M | summed | columns | threads | ours, GFLOP/s | OpenBLAS | ratio | ours, best | OpenBLAS, best | "
        "ratio of best |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        binary = os.path.join(directory, "gemm")
        root = pathlib.Path(__file__).resolve().parent.parent
        subprocess.run(["go", "build", "-o", binary, "./bench/gemm"], check=True, cwd=root)
        for threads in options.threads:
            rows += compare(binary, threads, options.turns, options.repeats)
    worst = min(rows, key=lambda row: row["ratio"])
    print("lowest ratio {ratio:.2f}: {op}, M {m}, summed {k}, columns {n}, {threads} threads".format(**worst))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

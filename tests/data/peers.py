# SPDX-License-Identifier: MIT
"""hnswlib and Faiss, for tests/1200-interchange.t.

peers.py has LIBRARY
peers.py write LIBRARY METRIC VECTORS.npy FILE [QUERIES.npy EF K | deleted]
peers.py search LIBRARY METRIC FILE QUERIES.npy EF K
Where there are queries, it prints a JSON array of ids for each.
"""
import json
import sys

import numpy as np

verb, library = sys.argv[1:3]
if library == "hnswlib":
    import hnswlib
else:
    import faiss

    faiss.omp_set_num_threads(1)
if verb == "has":
    sys.exit()
metric = sys.argv[3]


def load(path):
    v = np.load(path)
    if metric == "cosine" and library == "faiss":
        v = v / np.linalg.norm(v, axis=1, keepdims=True)
    return v


def search(path, queries, ef, k):
    q = load(queries)
    if library == "hnswlib":
        h = hnswlib.Index(space=metric, dim=q.shape[1])
        h.load_index(path)
        h.set_ef(int(ef))
        found = h.knn_query(q, k=int(k))[0]
    else:
        f = faiss.read_index(path)
        hnsw = (faiss.downcast_index(f.index) if hasattr(f, "index") else f).hnsw
        hnsw.efSearch = int(ef)
        hnsw.search_bounded_queue = False  # its default stops earlier than the paper
        found = f.search(q, int(k))[1]
    for row in found.tolist():
        print(json.dumps(row))


def write(vectors, path, *rest):
    v = load(vectors)
    if library == "hnswlib":
        h = hnswlib.Index(space=metric, dim=v.shape[1])
        h.init_index(max_elements=len(v) + 10, M=8, ef_construction=60)
        h.set_num_threads(1)
        h.add_items(v, np.arange(len(v)) + 1000)
        if rest == ("deleted",):
            for i in range(0, len(v), 5):
                h.mark_deleted(i + 1000)
        h.save_index(path)
    else:
        kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        f = faiss.IndexHNSWFlat(v.shape[1], 8, kind)
        f.hnsw.efConstruction = 60
        f.add(v)
        faiss.write_index(f, path)
    if len(rest) == 3:
        search(path, *rest)


{"write": write, "search": search}[verb](*sys.argv[4:])

"""An S3 client that is not ours: fills a bucket with mixed objects, and compares two buckets object by object.

    objects.py fill ENDPOINT BUCKET COUNT
    objects.py compare SOURCE_ENDPOINT BUCKET DESTINATION_ENDPOINT BUCKET

Keys of the server are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. `compare` prints one line of JSON: how many objects and
bytes it compared, and the first differences.
"""

import hashlib
import json
import multiprocessing
import random
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

MIB = 1 << 20
ODD = [
    "odd/plus+percent%and&question?hash#equals=",
    "odd/%2Fencoded%20already%",
    "odd/spaces  and   more",
    "odd/quotes\"'`",
    "odd/<xml>&amp;</xml>",
    "odd/umlaut-äöü-ß",
    "odd/日本語/中文/한국어",
    "odd/emoji-🦀-🚀",
    "odd/semi;colon,comma:at@dollar$star*tilde~bang!",
]


def client(endpoint):
    config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 5}, max_pool_connections=32)
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config)


def in_processes(work, items, *arguments):
    """The work on all items, by as many processes as there are processors, with a client and threads each."""
    count = multiprocessing.cpu_count()
    with multiprocessing.Pool(count) as pool:
        return [r for part in pool.starmap(work, [(items[n::count], *arguments) for n in range(count)]) for r in part]


def keys(count):
    """Directories beside names that share their beginning, which SeaweedFS does not list in byte order."""
    names = list(ODD)
    n = 0
    while len(names) < count:
        names += [f"d{n:04}/x", f"d{n:04}-b", f"d{n:04}.b", f"deep/{n % 50:02}/{n:04}/file", f"flat-{n:05}"]
        n += 1
    return names[:count]


def put_some(names, endpoint, bucket):
    s3 = client(endpoint)

    def put(name):
        rng = random.Random(name)
        size = rng.choice([0, 1, rng.randrange(2_000), rng.randrange(2_000), rng.randrange(30_000), rng.randrange(30_000)])
        extra = {"Tagging": "kind=odd%20one&n=%2B1"} if rng.random() < 0.1 else {}
        s3.put_object(
            Bucket=bucket,
            Key=name,
            Body=rng.randbytes(size),
            ContentType=rng.choice(["text/plain; charset=utf-8", "image/jpeg", "application/octet-stream"]),
            Metadata={"size": str(size), "note": "two words"},
            **extra,
        )

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(put, names))
    return []


def fill(endpoint, bucket, count):
    s3 = client(endpoint)
    s3.create_bucket(Bucket=bucket)
    in_processes(put_some, keys(int(count)), endpoint, bucket)
    for name, size, part in [("large/300-in-parts", 300 * MIB, 8 * MIB), ("large/40-at-once", 40 * MIB, 64 * MIB)]:
        body = Pieces(size)
        transfer = TransferConfig(multipart_threshold=64 * MIB, multipart_chunksize=part, max_concurrency=4)
        extra = {"ContentType": "video/mp4", "Metadata": {"name": name}, "Tagging": "large=yes"}
        s3.upload_fileobj(body, bucket, name, ExtraArgs=extra, Config=transfer)


class Pieces:
    """A file of bytes that never repeat, without a file."""

    def __init__(self, size):
        self.left = size
        self.rng = random.Random(size)

    def read(self, size=-1):
        size = self.left if size < 0 else min(size, self.left)
        self.left -= size
        return self.rng.randbytes(size)


def listing(s3, bucket):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {o["Key"]: o["Size"] for page in pages for o in page.get("Contents", [])}


def read(s3, bucket, key):
    answer = s3.get_object(Bucket=bucket, Key=key)
    digest, size = hashlib.sha256(), 0
    for piece in answer["Body"].iter_chunks(MIB):
        digest.update(piece)
        size += len(piece)
    tags = []
    if answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-tagging-count", "0") != "0":
        tags = sorted((t["Key"], t["Value"]) for t in s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"])
    return {"bytes": digest.hexdigest(), "size": size, "type": answer["ContentType"], "metadata": answer["Metadata"], "tags": tags}


def compare_some(names, one, source, two, destination):
    ours, theirs = client(one), client(two)

    def differs(name):
        a, b = read(ours, source, name), read(theirs, destination, name)
        what = [f"{name}: {field} {b[field]} instead of {a[field]}" for field in a if a[field] != b[field]]
        return a["size"], len(a["tags"]), what

    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(differs, names))


def compare(one, source, two, destination):
    ours, theirs = listing(client(one), source), listing(client(two), destination)
    differences = [f"only at the source: {name}" for name in sorted(ours.keys() - theirs.keys())]
    differences += [f"only at the destination: {name}" for name in sorted(theirs.keys() - ours.keys())]
    compared = in_processes(compare_some, sorted(ours.keys() & theirs.keys()), one, source, two, destination)
    differences += [line for _, _, lines in compared for line in lines]
    uploads = client(two).list_multipart_uploads(Bucket=destination).get("Uploads", [])
    differences += [f"an upload was left behind: {upload['Key']}" for upload in uploads]
    sizes = sum(size for size, _, _ in compared)
    tagged = sum(1 for _, tags, _ in compared if tags)
    print(json.dumps({"compared": len(compared), "bytes": sizes, "tagged": tagged, "differences": differences[:20]}))


if __name__ == "__main__":
    {"fill": fill, "compare": compare}[sys.argv[1]](*sys.argv[2:])

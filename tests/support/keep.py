"""An S3 client that is not ours: makes objects with everything that can belong to them, and tells what belongs to them.

    keep.py make ENDPOINT       reads {"buckets": [{"name", "lock"}], "objects": [{"bucket", "key", "size", "headers", "seal"}]}
    keep.py about ENDPOINT      reads [{"bucket", "key", "seal"}]; prints one {"headers", "tags", "acl", "body"} or {"error"} for each
    keep.py history ENDPOINT    reads the name of a bucket; prints {key: [{"body", "content_type", "metadata", "tags"}]}, oldest version
                                first, with null for a delete marker

All read JSON from standard input. `headers` are those of the request, as they are; `seal` is a key for SSE-C in base64. Keys of the
server are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
"""

import base64
import hashlib
import json
import random
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

SEAL = "x-amz-server-side-encryption-customer-"


def client(endpoint, said):
    # checksums only where a test asks for them
    config = Config(
        s3={"addressing_style": "path"},
        retries={"max_attempts": 2},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config)
    s3.meta.events.register("before-call.s3", lambda params, **_: params["headers"].update(said))
    return s3


def sealed(key):
    if not key:
        return {}
    digest = hashlib.md5(base64.b64decode(key)).digest()
    return {SEAL + "algorithm": "AES256", SEAL + "key": key, SEAL + "key-md5": base64.b64encode(digest).decode()}


def content(key, size):
    return random.Random(key).randbytes(size)


def make(endpoint, wanted):
    said = {}
    s3 = client(endpoint, said)
    for bucket in wanted["buckets"]:
        more = {"ObjectLockEnabledForBucket": True} if bucket["lock"] else {}
        s3.create_bucket(Bucket=bucket["name"], **more)
    refused = {}
    for thing in wanted["objects"]:
        body = content(thing["key"], thing["size"])
        md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
        said.clear()
        said.update(thing["headers"], **sealed(thing["seal"]))
        said["Content-MD5"] = md5
        try:
            s3.put_object(Bucket=thing["bucket"], Key=thing["key"], Body=body)
        except ClientError as error:
            refused[thing["key"]] = error.response["Error"]["Code"]
    return refused


def about(endpoint, wanted):
    said = {}
    s3 = client(endpoint, said)

    def ask(bucket, key, seal):
        said.clear()
        said.update(sealed(seal))
        said["x-amz-checksum-mode"] = "ENABLED"
        head = s3.head_object(Bucket=bucket, Key=key)
        headers = head["ResponseMetadata"]["HTTPHeaders"]
        if "ExpiresString" in head:
            # botocore takes one that is no date out of the headers
            headers["expires"] = head["ExpiresString"]
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        said.clear()
        tags = {t["Key"]: t["Value"] for t in s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}
        try:
            grants = s3.get_object_acl(Bucket=bucket, Key=key)["Grants"]
        except ClientError:
            grants = []
        acl = sorted(f"{g['Grantee'].get('URI', 'owner').rsplit('/', 1)[-1]} {g['Permission']}" for g in grants)
        return {"headers": headers, "tags": tags, "acl": acl, "body": hashlib.sha256(body).hexdigest()}

    found = []
    for thing in wanted:
        try:
            found.append(ask(thing["bucket"], thing["key"], thing["seal"]))
        except ClientError as error:
            found.append({"error": error.response["Error"]["Code"]})
    return found


def history(endpoint, bucket):
    s3 = client(endpoint, {})

    def about(version):
        asked = {"Bucket": bucket, "Key": version["Key"], "VersionId": version["VersionId"]}
        got = s3.get_object(**asked)
        tags = {t["Key"]: t["Value"] for t in s3.get_object_tagging(**asked)["TagSet"]}
        body = hashlib.sha256(got["Body"].read()).hexdigest()
        return {"body": body, "content_type": got["ContentType"], "metadata": got["Metadata"], "tags": tags}

    def of_key(key):
        # versions and delete markers come in two lists: only pages of one tell their order
        found, place = [], {}
        while True:
            page = s3.list_object_versions(Bucket=bucket, Prefix=key, MaxKeys=1, **place)
            versions, markers = page.get("Versions", []), page.get("DeleteMarkers", [])
            assert len(versions) + len(markers) <= 1, page
            found += [about(version) for version in versions if version["Key"] == key]
            found += [None for marker in markers if marker["Key"] == key]
            if not page["IsTruncated"] or page["NextKeyMarker"] != key:
                return found[::-1]
            place = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    keys = set()
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        keys |= {entry["Key"] for entry in page.get("Versions", []) + page.get("DeleteMarkers", [])}
    return {key: of_key(key) for key in keys}


if __name__ == "__main__":
    work = {"make": make, "about": about, "history": history}[sys.argv[1]]
    print(json.dumps(work(sys.argv[2], json.load(sys.stdin))))

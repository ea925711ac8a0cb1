"""CloudWatch for tests: takes PutMetricData as aws-sdk-cloudwatch sends it and hands it to moto, which does not speak that form.

The SDK speaks Smithy RPC v2 CBOR, gzipped; moto speaks the query protocol, and so does boto3 when it is told to.

    cloudwatch.py serve PORT MOTO        the bridge
    cloudwatch.py sums NAMESPACE MOTO    prints [{"metric", "dimensions", "sum", "samples"}] as JSON
"""

import gzip
import json
import sys
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import cbor2


def client(endpoint):
    keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y"}
    return boto3.client("cloudwatch", endpoint_url=endpoint, region_name="us-east-1", **keys)


def serve(port, moto):
    cloudwatch = client(moto)

    class Bridge(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = cbor2.loads(body)
            # the limits of the API reference
            refused = len(body) > 1_000_000 or len(request["MetricData"]) > 1_000
            if refused or not self.path.endswith("/operation/PutMetricData"):
                return self.answer(400, cbor2.dumps({"__type": "ValidationError", "message": self.path}))
            cloudwatch.put_metric_data(**request)
            self.answer(200, cbor2.dumps({}))

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("smithy-protocol", "rpc-v2-cbor")
            self.send_header("Content-Type", "application/cbor")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    ThreadingHTTPServer(("127.0.0.1", int(port)), Bridge).serve_forever()


def sums(namespace, moto):
    cloudwatch = client(moto)
    now = datetime.now(timezone.utc)
    found = []
    for metric in cloudwatch.list_metrics(Namespace=namespace)["Metrics"]:
        points = cloudwatch.get_metric_statistics(
            Namespace=namespace,
            MetricName=metric["MetricName"],
            Dimensions=metric["Dimensions"],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=60,
            Statistics=["Sum", "SampleCount"],
        )["Datapoints"]
        found.append(
            {
                "metric": metric["MetricName"],
                "dimensions": {d["Name"]: d["Value"] for d in metric["Dimensions"]},
                "sum": sum(p["Sum"] for p in points),
                "samples": sum(p["SampleCount"] for p in points),
            }
        )
    print(json.dumps(found))


{"serve": serve, "sums": sums}[sys.argv[1]](*sys.argv[2:])

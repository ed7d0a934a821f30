# /// script
# dependencies = ["boto3", "google-cloud-storage", "azure-storage-blob", "fsspec", "s3fs"]
#
# [tool.compatibility]
# differs = "network"
# ///

import boto3, fsspec
from google.cloud import storage
import azure.storage.blob


def extract(*, job, **_):
    try:
        boto3.client(
            "s3",
            region_name="eu-west-1",
            aws_access_key_id="x",
            aws_secret_access_key="y",
            config=__import__("botocore.config").config.Config(
                retries={"max_attempts": 0}, connect_timeout=2
            ),
        ).list_buckets()
    except Exception as e:
        return type(e).__name__

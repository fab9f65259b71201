"""Which of AWS's containers serves a package: the Deep Learning Container of TensorFlow Serving.

Checked against AWS's own lists (github.com/aws/deep-learning-containers: docs/src/data/tensorflow-inference and
docs/reference/region_availability.md) in November 2026, when 2.20.0 was the newest for inference, and supported until
20 August 2027. The accounts of AWS GovCloud are from github.com/aws/sagemaker-python-sdk, in its
image_uri_config/tensorflow.json.
"""

from __future__ import annotations

import re
from typing import Literal

VERSION = "2.20.0"
"""Of TensorFlow Serving. Packages are saved with a newer TensorFlow, and TensorFlow promises no older one that.

Their graphs use operations alone that TensorFlow has had for years; they were not run on the container here.
"""

_TAGS = {"cpu": f"{VERSION}-cpu-py312-amzn2023-sagemaker", "gpu": f"{VERSION}-gpu-py312-cu129-amzn2023-sagemaker"}

_REGISTRY = "763104351884"
_IN = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1"),
    *("eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
)
_ELSEWHERE = {
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-northeast-3": "364406365360",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-5": "550225433462",
    "ap-southeast-6": "633930458069",
    "ap-southeast-7": "590183813437",
    "ca-west-1": "204538143572",
    "cn-north-1": "727897471807",
    "cn-northwest-1": "727897471807",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "me-west-1": "124382933778",
    "mx-central-1": "637423239942",
    "us-gov-east-1": "446045086412",
    "us-gov-west-1": "442386744353",
}

_INSTANCE = re.compile(r"ml\.(?P<family>[a-z]+)\d+(?P<attributes>[a-z-]*)\.[a-z0-9-]+")

Processor = Literal["cpu", "gpu"]


class ContainerError(ValueError):
    """No container of AWS's fits; a sentence that says what to do."""


def processor(instance_type: str) -> Processor:
    """What a machine computes on: "ml.m5.xlarge" -> "cpu", "ml.g5.xlarge" -> "gpu".

    Raises ContainerError for what is no SageMaker machine, and for those that TensorFlow Serving's container lacks.
    """
    match = _INSTANCE.fullmatch(instance_type)
    if match is None:
        raise ContainerError(f"{instance_type} is no instance type of SageMaker; they look like ml.m5.xlarge.")
    if match["family"] in ("inf", "trn") or "g" in match["attributes"]:
        raise ContainerError(
            f"AWS has no container of TensorFlow Serving {VERSION} for {instance_type}: take an instance type with "
            "an Intel or AMD processor, or name a container of your own with --image."
        )
    return "gpu" if match["family"] in ("p", "g", "gr") else "cpu"


def image(region: str, machine: Processor) -> str:
    """The address of the container in a region. Raises ContainerError."""
    registry = _REGISTRY if region in _IN else _ELSEWHERE.get(region)
    if registry is None:
        raise ContainerError(
            f"The account that AWS's containers have in {region} is not known here: copy the container into a "
            "registry of your own and name it with --image."
        )
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"{registry}.dkr.ecr.{region}.{domain}/tensorflow-inference:{_TAGS[machine]}"

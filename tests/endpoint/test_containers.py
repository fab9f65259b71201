"""Which of AWS's containers is taken."""

from __future__ import annotations

import pytest

from endpoint.containers import ContainerError, image, processor


@pytest.mark.parametrize(
    ("instance_type", "expected"),
    [
        ("ml.m5.xlarge", "cpu"),
        ("ml.c7i.2xlarge", "cpu"),
        ("ml.t2.medium", "cpu"),
        ("ml.r6id.large", "cpu"),
        ("ml.g4dn.xlarge", "gpu"),
        ("ml.g5.12xlarge", "gpu"),
        ("ml.gr6.4xlarge", "gpu"),
        ("ml.p3.2xlarge", "gpu"),
        ("ml.p4de.24xlarge", "gpu"),
        ("ml.p5en.48xlarge", "gpu"),
    ],
)
def test_an_instance_type_says_what_it_computes_on(instance_type: str, expected: str) -> None:
    assert processor(instance_type) == expected


@pytest.mark.parametrize("instance_type", ["ml.c7g.large", "ml.m6gd.xlarge", "ml.inf2.xlarge", "ml.trn1.2xlarge"])
def test_machines_that_the_container_is_not_made_for_want_another_one(instance_type: str) -> None:
    with pytest.raises(ContainerError, match=f"{instance_type}.*--image"):
        processor(instance_type)


@pytest.mark.parametrize("wrong", ["m5.xlarge", "ml.m5", "large", "", "ml.m5.xlarge; ls"])
def test_what_is_no_instance_type_is_refused(wrong: str) -> None:
    with pytest.raises(ContainerError, match=r"ml\.m5\.xlarge"):
        processor(wrong)


def test_the_container_has_the_address_that_aws_lists() -> None:
    assert (
        image("eu-west-1", "cpu")
        == "763104351884.dkr.ecr.eu-west-1.amazonaws.com/tensorflow-inference:2.20.0-cpu-py312-amzn2023-sagemaker"
    )
    assert image("us-east-1", "gpu").endswith("/tensorflow-inference:2.20.0-gpu-py312-cu129-amzn2023-sagemaker")


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-south-1", "692866216735.dkr.ecr.eu-south-1.amazonaws.com"),
        ("ap-east-1", "871362719292.dkr.ecr.ap-east-1.amazonaws.com"),
        ("us-gov-west-1", "442386744353.dkr.ecr.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_some_regions_have_an_account_of_their_own(region: str, host: str) -> None:
    assert image(region, "cpu").partition("/")[0] == host


def test_a_region_that_is_not_known_is_refused_and_not_guessed() -> None:
    with pytest.raises(ContainerError, match=r"moon-1.*--image"):
        image("moon-1", "cpu")

"""The command that deploys, with the real boto3, against moto's server over HTTP.

moto knows all calls but UpdateEndpoint, and has every endpoint in service at once. `aws` adds the one, as the real
service is described, and `Life` lets an endpoint take its time or fail. What botocore's own model of UpdateEndpoint
says of the call is tested with botocore's Stubber.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import urllib3
from botocore.stub import Stubber
from moto.core.responses import ActionResult
from moto.sagemaker.exceptions import SagemakerClientError
from moto.sagemaker.models import SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse

from endpoint import deployment, rollout
from endpoint.aws import Aws, actions
from endpoint.deploy import main
from endpoint.deployment import Call, Machines
from modelarchive.manifest import Manifest
from tests.aws import account
from tests.moto import S3

REGION = "eu-west-1"
BUCKET = "models-of-a-shop"
ROLE = "arn:aws:iam::123456789012:role/endpoint"
MANIFEST = Manifest(architecture="resnet50", weights="ab" * 32, pooling="mean", size=224, dimensions=2048)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    account(monkeypatch)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


def update_endpoint(response: SageMakerResponse) -> ActionResult:
    """UpdateEndpoint, which moto lacks: refused while an endpoint is not in service, as AWS does."""
    parameters = json.loads(response.body)
    endpoint = response.sagemaker_backend.endpoints[parameters["EndpointName"]]
    if endpoint.endpoint_status != "InService":
        raise SagemakerClientError("Cannot update in-progress endpoint")
    endpoint.endpoint_config_name = parameters["EndpointConfigName"]
    endpoint.retained = parameters.get("RetainAllVariantProperties", False)
    return ActionResult({"EndpointArn": endpoint.arn})


@pytest.fixture(scope="module")
def clients(moto_server: S3) -> dict[str, Any]:
    """The tests' own look at the account: making a client takes a while."""
    session = boto3.Session("testing", "testing", region_name=REGION)
    names = ("sagemaker", "s3", "application-autoscaling")
    return {name: session.client(name, endpoint_url=moto_server.url) for name in names}


@pytest.fixture
def aws(moto_server: S3, clients: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An account with nothing but a bucket: a client for each service."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server.url)
    monkeypatch.setattr(rollout, "POLL", 0.01)
    monkeypatch.setattr(SageMakerResponse, "update_endpoint", update_endpoint, raising=False)
    urllib3.request("POST", f"{moto_server.url}/moto-api/reset")
    clients["s3"].create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return clients


class Life:
    """How an endpoint is, look after look; the last state stays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.states: list[str] = []
        self.more: dict[str, Any] = {}
        describe = SageMakerModelBackend.describe_endpoint

        def changing(backend: SageMakerModelBackend, endpoint_name: str) -> dict[str, Any]:
            found = describe(backend, endpoint_name)
            if self.states:
                state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
                found = found | {"EndpointStatus": state} | self.more
            return found

        monkeypatch.setattr(SageMakerModelBackend, "describe_endpoint", changing)


@pytest.fixture
def life(monkeypatch: pytest.MonkeyPatch) -> Life:
    return Life(monkeypatch)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return packed(tmp_path / "model.tar.gz", MANIFEST)


def packed(path: Path, manifest: Manifest) -> Path:
    """What of a package is looked at here: an archive with a manifest."""
    data = manifest.to_json().encode()
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("code/manifest.json")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return path


def deploy(package: Path, *more: str, name: str = "shop") -> int:
    return main(["--name", name, "--role", ROLE, "--package", str(package), "--bucket", BUCKET, *more])


def configuration(aws: dict[str, Any], name: str = "shop") -> dict[str, Any]:
    found = aws["sagemaker"].describe_endpoint(EndpointName=name)
    described: dict[str, Any] = aws["sagemaker"].describe_endpoint_config(
        EndpointConfigName=found["EndpointConfigName"]
    )
    return described


def variant(aws: dict[str, Any], name: str = "shop") -> dict[str, Any]:
    only: dict[str, Any]
    (only,) = configuration(aws, name)["ProductionVariants"]
    return only


def target(aws: dict[str, Any], name: str = "shop") -> dict[str, Any] | None:
    found = aws["application-autoscaling"].describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=[f"endpoint/{name}/variant/AllTraffic"]
    )
    return next(iter(found["ScalableTargets"]), None)


def objects(aws: dict[str, Any]) -> list[str]:
    return [found["Key"] for found in aws["s3"].list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def everything(aws: dict[str, Any]) -> dict[str, list[str]]:
    """The names of all that costs or counts against a quota."""
    sagemaker = aws["sagemaker"]
    return {
        "endpoints": [found["EndpointName"] for found in sagemaker.list_endpoints()["Endpoints"]],
        "configurations": [f["EndpointConfigName"] for f in sagemaker.list_endpoint_configs()["EndpointConfigs"]],
        "models": [found["ModelName"] for found in sagemaker.list_models()["Models"]],
        "objects": objects(aws),
    }


NOTHING: dict[str, list[str]] = {"endpoints": [], "configurations": [], "models": [], "objects": []}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """The calls that the command makes, in their order."""
    calls: list[Call] = []
    do = Aws.do

    def noted(self: Aws, call: Call, *more: Any) -> dict[str, Any]:
        calls.append(call)
        return do(self, call, *more)

    monkeypatch.setattr(Aws, "do", noted)
    return calls


def changing(calls: list[Call]) -> list[str]:
    return [call.operation for call in calls if not call.operation.startswith(("describe", "list", "head"))]


# Creating -------------------------------------------------------------------------------------------


def test_a_package_becomes_an_endpoint_that_scales(
    aws: dict[str, Any], life: Life, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    life.states = ["Creating", "Creating", "InService"]
    assert deploy(package) == 0
    (key,) = objects(aws)
    assert MANIFEST.fingerprint in key
    assert aws["s3"].get_object(Bucket=BUCKET, Key=key)["Body"].read() == package.read_bytes()
    assert variant(aws) | {"ModelName": ""} == {
        "VariantName": "AllTraffic",
        "ModelName": "",
        "InstanceType": "ml.m5.xlarge",
        "InitialInstanceCount": 3,
        "InitialVariantWeight": 1.0,
    }
    model = aws["sagemaker"].describe_model(ModelName=variant(aws)["ModelName"])
    assert model["ExecutionRoleArn"] == ROLE
    assert model["PrimaryContainer"]["ModelDataUrl"] == f"s3://{BUCKET}/{key}"
    assert "/tensorflow-inference:2.20.0-cpu" in model["PrimaryContainer"]["Image"]
    scaled = target(aws)
    assert scaled is not None
    assert (scaled["MinCapacity"], scaled["MaxCapacity"]) == (3, 6)
    policies = aws["application-autoscaling"].describe_scaling_policies(ServiceNamespace="sagemaker")
    (policy,) = policies["ScalingPolicies"]
    tracked = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracked["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    }
    assert tracked["TargetValue"] == 200
    shown = capsys.readouterr()
    assert "SAGEMAKER_ENDPOINT_NAME=shop" in shown.out
    assert shown.err.splitlines() == ["shop: Creating"]


def test_the_calls_made_are_those_that_a_dry_run_prints(
    aws: dict[str, Any], package: Path, made: list[Call], capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(package, "--dry-run") == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert made == []
    assert deploy(package) == 0
    assert [json.loads(call.to_json()) for call in made] == printed
    assert everything(aws)["endpoints"] == ["shop"]


def test_the_calls_that_remove_it_are_those_that_a_dry_run_prints(
    aws: dict[str, Any], package: Path, made: list[Call], capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(package)
    made.clear()
    capsys.readouterr()
    assert main(["--name", "shop", "--delete", "--delete-data", "--dry-run"]) == 0
    printed = [json.loads(line)["operation"] for line in capsys.readouterr().out.splitlines()]
    assert made == []
    assert main(["--name", "shop", "--delete", "--delete-data"]) == 0
    assert [call.operation for call in made] == printed


def test_a_dry_run_makes_no_client(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        pytest.fail("a client was made")

    monkeypatch.setattr(boto3.Session, "client", refuse)
    assert deploy(package, "--dry-run") == 0
    assert main(["--name", "shop", "--delete", "--dry-run"]) == 0


def test_options_reach_the_calls(aws: dict[str, Any], package: Path) -> None:
    options = {
        "--instance-type": "ml.g4dn.xlarge",
        "--count": "1",
        "--max-count": "5",
        "--invocations-per-instance": "900",
        "--scale-out-cooldown": "0",
        "--scale-in-cooldown": "600",
        "--prefix": "a/b/",
        "--environment": "SAGEMAKER_TFS_ENABLE_BATCHING=true",
    }
    assert deploy(package, *(part for option in options.items() for part in option)) == 0
    assert variant(aws)["InstanceType"] == "ml.g4dn.xlarge"
    container = aws["sagemaker"].describe_model(ModelName=variant(aws)["ModelName"])["PrimaryContainer"]
    assert "/tensorflow-inference:2.20.0-gpu" in container["Image"]
    assert container["Environment"] == {
        "SAGEMAKER_GUNICORN_WORKERS": "2",
        "SAGEMAKER_TFS_ENABLE_BATCHING": "true",
    }
    scaled = target(aws)
    assert scaled is not None
    assert (scaled["MinCapacity"], scaled["MaxCapacity"]) == (1, 5)
    (policy,) = aws["application-autoscaling"].describe_scaling_policies(ServiceNamespace="sagemaker")[
        "ScalingPolicies"
    ]
    tracked = policy["TargetTrackingScalingPolicyConfiguration"]
    assert (tracked["TargetValue"], tracked["ScaleOutCooldown"], tracked["ScaleInCooldown"]) == (900, 0, 600)
    assert objects(aws)[0].startswith("a/b/shop/")


def test_your_own_container_gets_no_settings_of_tensorflow_serving(aws: dict[str, Any], package: Path) -> None:
    own = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/endpoint:1"
    assert deploy(package, "--image", own, "--instance-type", "ml.c5.large") == 0
    container = aws["sagemaker"].describe_model(ModelName=variant(aws)["ModelName"])["PrimaryContainer"]
    assert container["Image"] == own
    assert "Environment" not in container


def test_a_package_in_s3_is_not_uploaded(aws: dict[str, Any], made: list[Call]) -> None:
    url = f"s3://{BUCKET}/elsewhere/model.tar.gz"
    assert main(["--name", "shop", "--role", ROLE, "--model-data", url]) == 0
    assert {call.service for call in made} == {"sagemaker", "application-autoscaling"}
    model = aws["sagemaker"].describe_model(ModelName=variant(aws)["ModelName"])
    assert model["PrimaryContainer"]["ModelDataUrl"] == url


def test_serverless_has_no_machines_and_no_scaling(aws: dict[str, Any], package: Path, made: list[Call]) -> None:
    assert deploy(package, "--serverless", "--memory", "6144", "--max-concurrency", "8") == 0
    assert variant(aws)["ServerlessConfig"] == {"MemorySizeInMB": 6144, "MaxConcurrency": 8}
    assert "InstanceType" not in variant(aws)
    assert {call.service for call in made} == {"s3", "sagemaker"}


def test_without_autoscaling_nothing_is_registered(aws: dict[str, Any], package: Path) -> None:
    assert deploy(package, "--no-autoscaling") == 0
    assert target(aws) is None


# Again, and another ---------------------------------------------------------------------------------


def test_the_same_deployment_again_changes_nothing(
    aws: dict[str, Any], package: Path, made: list[Call], capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(package)
    before = everything(aws)
    made.clear()
    assert deploy(package) == 0
    assert changing(made) == []
    assert everything(aws) == before
    assert "nothing was changed" in capsys.readouterr().out


def test_an_uploaded_package_is_not_uploaded_again(aws: dict[str, Any], package: Path, made: list[Call]) -> None:
    deploy(package)
    made.clear()
    assert deploy(package, "--count", "2") == 0
    assert "upload_file" not in changing(made)


def test_another_package_takes_the_place_of_the_first(
    aws: dict[str, Any],
    life: Life,
    package: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deploy(package)
    first = configuration(aws)
    other = packed(tmp_path / "other.tar.gz", Manifest("resnet50", "cd" * 32, "mean", 224, 2048))
    life.states = ["InService", "Updating", "Updating", "InService"]
    assert deploy(other) == 0
    after = everything(aws)
    assert after["configurations"] == [configuration(aws)["EndpointConfigName"]]
    assert after["models"] == [variant(aws)["ModelName"]]
    assert first["EndpointConfigName"] not in after["configurations"]
    assert len(after["objects"]) == 2
    assert f"The package stays at s3://{BUCKET}/" in capsys.readouterr().out


def test_an_update_keeps_the_scaled_number_of_machines(aws: dict[str, Any], package: Path, made: list[Call]) -> None:
    deploy(package)
    made.clear()
    assert deploy(package, "--environment", "SAGEMAKER_TFS_NGINX_LOGLEVEL=info") == 0
    (update,) = (call for call in made if call.operation == "update_endpoint")
    assert update.parameters["RetainAllVariantProperties"] is True
    assert changing(made) == [
        *("create_model", "create_endpoint_config", "update_endpoint"),
        *("delete_endpoint_config", "delete_model"),
    ]


def test_scaling_is_deregistered_before_the_type_of_machines_changes(
    aws: dict[str, Any], package: Path, made: list[Call]
) -> None:
    deploy(package)
    made.clear()
    assert deploy(package, "--instance-type", "ml.c5.xlarge") == 0
    assert changing(made) == [
        *("create_endpoint_config", "deregister_scalable_target", "update_endpoint"),
        *("register_scalable_target", "put_scaling_policy", "delete_endpoint_config"),
    ]
    assert target(aws) is not None


def test_scaling_can_be_changed_and_taken_away_by_itself(
    aws: dict[str, Any], package: Path, made: list[Call]
) -> None:
    deploy(package)
    made.clear()
    assert deploy(package, "--max-count", "9") == 0
    assert changing(made) == ["register_scalable_target", "put_scaling_policy"]
    assert (target(aws) or {})["MaxCapacity"] == 9
    made.clear()
    assert deploy(package, "--no-autoscaling") == 0
    assert changing(made) == ["deregister_scalable_target"]


def test_the_next_run_waits_for_an_interrupted_deployment(
    aws: dict[str, Any], life: Life, package: Path, made: list[Call], capsys: pytest.CaptureFixture[str]
) -> None:
    life.states = ["Creating"]
    assert deploy(package, "--timeout", "1", name="late") == 1
    assert "goes on in AWS" in capsys.readouterr().err
    assert target(aws, "late") is None
    made.clear()
    life.states = ["Creating", "Creating", "InService"]
    assert deploy(package, name="late") == 0
    assert changing(made) == ["register_scalable_target", "put_scaling_policy"]


def test_the_command_waits_for_a_running_update(
    aws: dict[str, Any], life: Life, package: Path, made: list[Call]
) -> None:
    deploy(package)
    wanted = configuration(aws)["EndpointConfigName"]
    life.states = ["Updating", "Updating", "InService"]
    life.more = {"PendingDeploymentSummary": {"EndpointConfigName": wanted}}
    made.clear()
    assert deploy(package) == 0
    assert changing(made) == []


def test_an_endpoint_that_is_being_changed_to_something_else_is_left_alone(
    aws: dict[str, Any], life: Life, package: Path, made: list[Call], capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(package)
    life.states = ["Updating"]
    made.clear()
    assert deploy(package, "--count", "1") == 1
    assert changing(made) == []
    assert "is Updating just now" in capsys.readouterr().err


def test_ctrl_c_says_that_aws_continues_and_how_to_check(
    aws: dict[str, Any],
    life: Life,
    package: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(rollout.time, "sleep", interrupt)
    life.states = ["Creating"]
    assert deploy(package) == 130
    said = capsys.readouterr().err
    assert "It goes on in AWS" in said
    assert "aws sagemaker describe-endpoint --endpoint-name shop --region eu-west-1" in said
    assert everything(aws)["endpoints"] == ["shop"]


def test_ctrl_c_before_the_endpoint_leaves_nothing(
    aws: dict[str, Any], package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    do = Aws.do

    def interrupted(self: Aws, call: Call, *more: Any) -> dict[str, Any]:
        if call.operation == "create_endpoint_config":
            raise KeyboardInterrupt
        return do(self, call, *more)

    monkeypatch.setattr(Aws, "do", interrupted)
    assert deploy(package) == 130
    assert "removed again" in capsys.readouterr().err
    assert everything(aws) == NOTHING


# What goes wrong ------------------------------------------------------------------------------------


def test_an_endpoint_that_fails_says_why_and_leaves_nothing(
    aws: dict[str, Any], life: Life, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    life.states = ["Creating", "Failed"]
    life.more = {"FailureReason": "The container did not pass the ping health check."}
    assert deploy(package) == 1
    said = capsys.readouterr().err
    assert "The container did not pass the ping health check." in said
    assert "/aws/sagemaker/Endpoints/shop" in said
    assert everything(aws) == NOTHING


def test_an_update_that_is_rolled_back_leaves_the_endpoint_as_it_was(
    aws: dict[str, Any], life: Life, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(package)
    before, scaled = everything(aws), target(aws)
    life.states = ["InService", "Updating", "RollingBack", "InService"]
    life.more = {"FailureReason": "out of memory", "EndpointConfigName": before["configurations"][0]}
    assert deploy(package, "--instance-type", "ml.t2.medium") == 1
    assert "out of memory" in capsys.readouterr().err
    assert everything(aws) == before
    restored = target(aws)
    assert restored is not None
    assert scaled is not None
    assert (restored["MinCapacity"], restored["MaxCapacity"]) == (scaled["MinCapacity"], scaled["MaxCapacity"])


def refusing(code: str) -> Callable[[SageMakerResponse], tuple[int, dict[str, str], str]]:
    """What answers a call with any of AWS's errors; moto itself knows few."""
    body = json.dumps({"__type": code, "message": "Said by AWS."})
    return lambda _response: (400, {"x-amzn-errortype": code, "status": "400"}, body)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ResourceLimitExceeded", "Service Quotas"),
        ("AccessDeniedException", "sagemaker:CreateEndpoint"),
        ("ExpiredTokenException", "sign in again"),
        ("ValidationException", "AWS refused sagemaker:CreateEndpoint"),
    ],
)
def test_a_refusal_is_a_sentence_and_what_was_made_is_removed(
    code: str,
    advice: str,
    aws: dict[str, Any],
    package: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(SageMakerResponse, "create_endpoint", refusing(code))
    assert deploy(package) == 1
    said = capsys.readouterr().err
    assert advice in said
    assert "Said by AWS." in said
    assert "What this run had made was removed again." in said
    assert everything(aws) == NOTHING


def test_expired_credentials_while_waiting_keep_the_endpoint(
    aws: dict[str, Any],
    package: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    create = SageMakerResponse.create_endpoint

    with monkeypatch.context() as patch:

        def created_then_refused(response: SageMakerResponse) -> Any:
            patch.setattr(SageMakerResponse, "describe_endpoint", refusing("ExpiredTokenException"))
            return create(response)

        patch.setattr(SageMakerResponse, "create_endpoint", created_then_refused)
        assert deploy(package) == 1
    said = capsys.readouterr().err
    assert "sign in again" in said
    assert "It goes on in AWS" in said
    assert [len(names) for names in everything(aws).values()] == [1, 1, 1, 1]
    assert deploy(package) == 0
    assert target(aws) is not None


def test_a_lost_answer_does_not_delete_the_configuration(
    aws: dict[str, Any],
    package: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    create = SageMakerResponse.create_endpoint

    def created_and_lost(response: SageMakerResponse) -> Any:
        create(response)
        return refusing("ServiceUnavailable")(response)

    monkeypatch.setattr(SageMakerResponse, "create_endpoint", created_and_lost)
    assert deploy(package) == 1
    assert "It goes on in AWS" in capsys.readouterr().err
    assert [len(names) for names in everything(aws).values()] == [1, 1, 1, 1]


@pytest.mark.parametrize("first", [True, False], ids=["created", "updated"])
def test_a_possible_change_keeps_its_configuration_while_aws_is_unavailable(
    first: bool,
    aws: dict[str, Any],
    package: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = () if first else ("--count", "2")
    if not first:
        assert deploy(package) == 0
    operation = "create_endpoint" if first else "update_endpoint"
    done = getattr(SageMakerResponse, operation)

    with monkeypatch.context() as patch:

        def done_and_lost(response: SageMakerResponse) -> Any:
            done(response)
            # The network is back by the time that anything could be removed.
            patch.setattr(SageMakerResponse, "describe_endpoint", refusing("ServiceUnavailable"))
            return refusing("ServiceUnavailable")(response)

        patch.setattr(SageMakerResponse, operation, done_and_lost)
        assert deploy(package, *options) == 1
    said = capsys.readouterr().err
    assert "It may go on in AWS, which cannot be asked just now; run the same command again" in said
    assert configuration(aws)["EndpointConfigName"] in everything(aws)["configurations"]
    assert variant(aws)["ModelName"] in everything(aws)["models"]
    assert deploy(package, *options) == 0


def test_an_update_that_could_not_be_rolled_back_keeps_what_it_may_need(
    aws: dict[str, Any], life: Life, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(package)
    life.states = ["InService", "Updating", "RollingBack", "UpdateRollbackFailed"]
    life.more = {"FailureReason": "no capacity"}
    assert deploy(package, "--count", "2") == 1
    assert "no capacity" in capsys.readouterr().err
    assert len(everything(aws)["configurations"]) == 2


def test_a_failed_rollback_is_named(
    aws: dict[str, Any],
    package: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(SageMakerResponse, "create_endpoint", refusing("ResourceLimitExceeded"))
    monkeypatch.setattr(SageMakerResponse, "delete_model", refusing("AccessDeniedException"))
    assert deploy(package) == 1
    said = capsys.readouterr().err
    assert "sagemaker:DeleteModel" in said
    assert "--delete tries it again" in said
    left = everything(aws)
    assert len(left["models"]) == 1
    assert left["configurations"] == left["objects"] == []


def test_an_endpoint_of_somebody_else_is_neither_updated_nor_deleted(
    aws: dict[str, Any], package: Path, made: list[Call], capsys: pytest.CaptureFixture[str]
) -> None:
    sagemaker = aws["sagemaker"]
    sagemaker.create_model(ModelName="theirs", PrimaryContainer={"Image": "x"}, ExecutionRoleArn=ROLE)
    variants = [
        {"VariantName": "a", "ModelName": "theirs", "InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1}
    ]
    sagemaker.create_endpoint_config(EndpointConfigName="shop-config", ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName="shop", EndpointConfigName="shop-config")
    assert deploy(package) == 1
    assert "Take another --name" in capsys.readouterr().err
    assert main(["--name", "shop", "--delete"]) == 1
    assert changing(made) == []


def test_a_failed_endpoint_has_to_be_removed_first(
    aws: dict[str, Any], life: Life, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(package)
    life.states, life.more = ["Failed"], {"FailureReason": "no such image"}
    assert deploy(package) == 1
    said = capsys.readouterr().err
    assert "no such image" in said
    assert "--delete" in said
    assert main(["--name", "shop", "--delete"]) == 0


def test_a_missing_bucket_is_named_with_what_to_do(
    aws: dict[str, Any], package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--name", "shop", "--role", ROLE, "--package", str(package), "--bucket", "no-such-bucket"]
    assert main(arguments) == 1
    assert "There is no such bucket in this region" in capsys.readouterr().err
    assert everything(aws) == NOTHING


def test_no_credentials_and_no_region_are_sentences(
    package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert deploy(package) == 1
    assert "There are no credentials for AWS" in capsys.readouterr().err
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert deploy(package) == 1
    assert "--region" in capsys.readouterr().err


def test_an_unreachable_aws_is_a_sentence(
    package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert deploy(package) == 1
    assert "AWS could not be reached" in capsys.readouterr().err


def test_an_unknown_profile_is_a_sentence(
    package: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert deploy(package) == 1
    assert "nobody" in capsys.readouterr().err


def test_another_file_is_refused_before_any_call(
    tmp_path: Path, made: list[Call], capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(tmp_path / "absent.tar.gz") == 1
    assert "endpoint.export" in capsys.readouterr().err
    assert deploy(tmp_path) == 1
    assert "is a folder" in capsys.readouterr().err
    assert made == []


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--package", "p", "--role", ROLE], "--bucket"),
        (["--package", "p", "--bucket", "b"], "--role"),
        (["--role", ROLE], "--model-data"),
        (["--package", "p", "--bucket", "b", "--model-data", "s3://a/b", "--role", ROLE], "either"),
        (["--model-data", "s3://a/b", "--role", ROLE, "--serverless", "--count", "2"], "--count"),
        (["--model-data", "s3://a/b", "--role", ROLE, "--memory", "2048"], "--serverless"),
        (["--model-data", "s3://a/b", "--role", ROLE, "--no-autoscaling", "--max-count", "2"], "--max-count"),
        (["--model-data", "s3://a/b", "--role", ROLE, "--delete-data"], "--delete"),
        (["--delete", "--role", ROLE], "--role"),
        (["--model-data", "s3://a/b", "--role", ROLE, "--count", "0"], "1 or more"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(
    options: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--name", "shop", *options])
    assert exit_.value.code == 2
    assert word in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--model-data", "http://a/b"], "s3://bucket/model.tar.gz"),
        (["--model-data", "s3://abc/d", "--count", "4", "--max-count", "2"], "--max-count 2 is below --count 4"),
        (["--model-data", "s3://abc/d", "--environment", "A"], "NAME=VALUE"),
        (["--model-data", "s3://abc/d", "--instance-type", "large"], "ml.m5.xlarge"),
    ],
)
def test_invalid_values_are_refused(options: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--name", "shop", "--role", ROLE, "--dry-run", *options]) == 1
    assert word in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "-shop", "shop-", "my_shop", "x" * 51, "a b"])
def test_an_invalid_endpoint_name_is_refused(name: str) -> None:
    with pytest.raises(SystemExit):
        main(["--name", name, "--delete", "--dry-run"])


def test_names_stay_within_what_sagemaker_allows() -> None:
    longest = deployment.Deployment(
        name=deployment.check_name("x" * 50),
        role=ROLE,
        image="i",
        model_data="s3://abc/d",
        capacity=Machines("ml.m5.xlarge", 1),
    )
    assert len(longest.model) == len(longest.configuration) == 63


# Removing -------------------------------------------------------------------------------------------


def test_removing_leaves_the_package_and_says_so(
    aws: dict[str, Any], package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(package)
    deploy(package, name="shop-2")
    (mine, _other) = objects(aws) if "/shop/" in objects(aws)[0] else reversed(objects(aws))
    capsys.readouterr()
    assert main(["--name", "shop", "--delete"]) == 0
    assert f"The package stays at s3://{BUCKET}/{mine}" in capsys.readouterr().out
    left = everything(aws)
    assert left["endpoints"] == ["shop-2"]
    assert len(left["configurations"]) == len(left["models"]) == 1
    assert len(left["objects"]) == 2
    assert target(aws) is None
    assert target(aws, "shop-2") is not None


def test_removing_twice_is_harmless(
    aws: dict[str, Any], package: Path, made: list[Call], capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(package)
    assert main(["--name", "shop", "--delete", "--delete-data"]) == 0
    assert everything(aws) == NOTHING
    made.clear()
    capsys.readouterr()
    assert main(["--name", "shop", "--delete", "--delete-data"]) == 0
    assert changing(made) == []
    assert capsys.readouterr().out.splitlines() == ["There is no endpoint shop."]


def test_removing_finds_what_a_crashed_run_left(aws: dict[str, Any], package: Path) -> None:
    deploy(package)
    aws["sagemaker"].delete_endpoint(EndpointName="shop")
    assert main(["--name", "shop", "--delete"]) == 0
    left = everything(aws)
    assert left["configurations"] == left["models"] == []


def test_an_endpoint_in_creation_is_deleted_once_created(
    aws: dict[str, Any], life: Life, package: Path, made: list[Call]
) -> None:
    deploy(package)
    life.states = ["Creating", "Creating", "InService"]
    made.clear()
    assert main(["--name", "shop", "--delete", "--delete-data"]) == 0
    assert everything(aws) == NOTHING
    deleting = [call.operation for call in made].index("delete_endpoint")
    assert deleting > 3


def test_the_documentation_names_every_permission_that_is_needed(
    aws: dict[str, Any], package: Path, made: list[Call]
) -> None:
    deploy(package)
    deploy(package, "--instance-type", "ml.c5.xlarge")
    main(["--name", "shop", "--delete", "--delete-data"])
    text = (Path(__file__).parents[2] / "docs" / "endpoint.md").read_text(encoding="utf-8")
    policies = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    deployer = {action for statement in policies[0]["Statement"] for action in as_list(statement["Action"])}
    needed = {action for call in made for action in actions(call)}
    assert needed <= deployer
    # What AWS needs of the deployer besides: for the role, and for the alarms and machines that scaling works with.
    assert {action for action in deployer - needed if action.startswith(("s3:", "application-autoscaling:"))} == set()


def as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


# The one call that moto lacks -----------------------------------------------------------------------


def test_update_endpoint_is_called_as_botocore_describes_it() -> None:
    wanted = deployment.Deployment(
        name="shop", role=ROLE, image="i", model_data="s3://abc/d", capacity=Machines("ml.m5.xlarge", 1)
    )
    client = boto3.client("sagemaker")
    with Stubber(client) as stubber:
        stubber.add_response(
            "update_endpoint",
            {"EndpointArn": "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/shop"},
            {
                "EndpointName": "shop",
                "EndpointConfigName": wanted.configuration,
                "RetainAllVariantProperties": True,
            },
        )
        client.update_endpoint(**wanted.update_endpoint(keep_count=True).parameters)
        stubber.assert_no_pending_responses()

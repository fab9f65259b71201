"""A deployment as data: what is to be in AWS, and the calls that bring it there.

A model and an endpoint configuration cannot be changed in SageMaker, only replaced. So they are named by what they
hold, `NAME-` and twelve digits of a digest: what has not changed has its name already, and is left alone. The same
form tells what this endpoint's deployments have made from everything else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

VARIANT = "AllTraffic"
_NAMESPACE = "sagemaker"
_DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_DIGITS = 12

#: what SageMaker allows in a name, less what is added to it: 63 characters in all
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,49}")
_S3 = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(?P<key>.+)")

MEMORY_SIZES = (1024, 2048, 3072, 4096, 5120, 6144)
"""What a serverless endpoint may have, in MB (API reference, ProductionVariantServerlessConfig)."""


class DeploymentError(ValueError):
    """Something that cannot be deployed; a sentence that says what to do."""


@dataclass(frozen=True)
class Call:
    """One call of an AWS service: boto3's names of the service and of the method, and its parameters."""

    service: str
    operation: str
    parameters: dict[str, Any]

    def to_json(self) -> str:
        values = {"service": self.service, "operation": self.operation, "parameters": self.parameters}
        return json.dumps(values, ensure_ascii=False)


@dataclass(frozen=True)
class Scaling:
    """Between how many machines, and at which load of each."""

    least: int
    most: int
    #: calls, not images, of each machine in a minute
    invocations: int
    #: seconds after one machine was added, or removed, until the next
    out_cooldown: int
    in_cooldown: int


@dataclass(frozen=True)
class Serverless:
    memory: int
    concurrency: int


@dataclass(frozen=True)
class Package:
    """A file to be uploaded, and where to."""

    path: Path
    bucket: str
    key: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Machines:
    instance_type: str
    count: int


@dataclass(frozen=True)
class Deployment:
    """All that an endpoint is."""

    name: str
    role: str
    image: str
    #: where the package lies, s3://bucket/key
    model_data: str
    capacity: Machines | Serverless
    scaling: Scaling | None = None
    environment: dict[str, str] = field(default_factory=dict)
    #: the package to upload to `model_data`, where it is not there yet
    package: Package | None = None

    @property
    def model(self) -> str:
        return _named(self.name, self._container, self.role)

    @property
    def configuration(self) -> str:
        return _named(self.name, self._variant)

    @property
    def _container(self) -> dict[str, Any]:
        container: dict[str, Any] = {"Image": self.image, "ModelDataUrl": self.model_data}
        if self.environment:
            container["Environment"] = dict(sorted(self.environment.items()))
        return container

    @property
    def _variant(self) -> dict[str, Any]:
        variant: dict[str, Any] = {"VariantName": VARIANT, "ModelName": self.model}
        if isinstance(self.capacity, Serverless):
            sizes = {"MemorySizeInMB": self.capacity.memory, "MaxConcurrency": self.capacity.concurrency}
            return variant | {"ServerlessConfig": sizes}
        return variant | {
            "InstanceType": self.capacity.instance_type,
            "InitialInstanceCount": self.capacity.count,
            "InitialVariantWeight": 1.0,
        }

    def create_model(self) -> Call:
        parameters = {"ModelName": self.model, "PrimaryContainer": self._container, "ExecutionRoleArn": self.role}
        return Call("sagemaker", "create_model", parameters)

    def create_configuration(self) -> Call:
        parameters = {"EndpointConfigName": self.configuration, "ProductionVariants": [self._variant]}
        return Call("sagemaker", "create_endpoint_config", parameters)

    def create_endpoint(self) -> Call:
        parameters = {"EndpointName": self.name, "EndpointConfigName": self.configuration}
        return Call("sagemaker", "create_endpoint", parameters)

    def update_endpoint(self, *, keep_count: bool) -> Call:
        """`keep_count` leaves as many machines as scaling has just now made of it."""
        parameters: dict[str, Any] = {"EndpointName": self.name, "EndpointConfigName": self.configuration}
        if keep_count:
            parameters["RetainAllVariantProperties"] = True
        return Call("sagemaker", "update_endpoint", parameters)

    def scale(self) -> tuple[Call, Call] | None:
        """The two calls that set scaling; both may be repeated."""
        if self.scaling is None:
            return None
        return (
            _scaling(
                "register_scalable_target",
                self.name,
                MinCapacity=self.scaling.least,
                MaxCapacity=self.scaling.most,
            ),
            _scaling(
                "put_scaling_policy",
                self.name,
                PolicyName=f"{self.name}-invocations",
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration={
                    "TargetValue": float(self.scaling.invocations),
                    "PredefinedMetricSpecification": {
                        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                    },
                    "ScaleOutCooldown": self.scaling.out_cooldown,
                    "ScaleInCooldown": self.scaling.in_cooldown,
                },
            ),
        )

    def calls(self) -> Iterator[Call]:
        """All calls in their order, where nothing is there yet; the last look at the endpoint is repeated."""
        yield describe_endpoint(self.name)
        if self.package is not None:
            yield find_object(self.package)
            yield upload(self.package)
        yield describe_model(self.model)
        yield self.create_model()
        yield describe_configuration(self.configuration)
        yield self.create_configuration()
        yield self.create_endpoint()
        yield describe_endpoint(self.name)
        if isinstance(self.capacity, Machines):
            yield describe_target(self.name)
            yield from self.scale() or ()
        yield list_configurations(self.name)
        yield list_models(self.name)


def removal(name: str, *, data: bool) -> Iterator[Call]:
    """All calls that remove an endpoint; those for what is still to be looked up have `…` in a name."""
    yield describe_endpoint(name)
    yield describe_target(name)
    yield deregister(name)
    yield describe_endpoint(name)
    yield delete_endpoint(name)
    yield describe_endpoint(name)
    yield list_configurations(name)
    yield delete_configuration(f"{name}-…")
    yield list_models(name)
    yield describe_model(f"{name}-…")
    yield delete_model(f"{name}-…")
    if data:
        yield delete_object("s3://…/…")


def check_name(name: str) -> str:
    """Raises DeploymentError."""
    if not _NAME.fullmatch(name):
        raise DeploymentError(
            f"{name!r} cannot be an endpoint's name: it has up to 50 letters, digits and hyphens, and begins and "
            "ends with a letter or digit."
        )
    return name


def check_url(url: str) -> str:
    """Raises DeploymentError."""
    _parts(url)
    return url


def is_ours(name: str, resource: str) -> bool:
    """Whether a model or a configuration was made by a deployment of the endpoint `name`."""
    return re.fullmatch(rf"{re.escape(name)}-[0-9a-f]{{{_DIGITS}}}", resource) is not None


def package_key(prefix: str, name: str, fingerprint: str, digest: str) -> str:
    """Where a package goes: it says which model it is, and is another one with each content."""
    parts = (prefix.strip("/"), name, f"{fingerprint}-{digest[:_DIGITS]}", "model.tar.gz")
    return "/".join(part for part in parts if part)


def describe_endpoint(name: str) -> Call:
    return Call("sagemaker", "describe_endpoint", {"EndpointName": name})


def delete_endpoint(name: str) -> Call:
    return Call("sagemaker", "delete_endpoint", {"EndpointName": name})


def describe_configuration(configuration: str) -> Call:
    return Call("sagemaker", "describe_endpoint_config", {"EndpointConfigName": configuration})


def list_configurations(name: str) -> Call:
    return Call("sagemaker", "list_endpoint_configs", {"NameContains": f"{name}-"})


def delete_configuration(configuration: str) -> Call:
    return Call("sagemaker", "delete_endpoint_config", {"EndpointConfigName": configuration})


def describe_model(model: str) -> Call:
    return Call("sagemaker", "describe_model", {"ModelName": model})


def list_models(name: str) -> Call:
    return Call("sagemaker", "list_models", {"NameContains": f"{name}-"})


def delete_model(model: str) -> Call:
    return Call("sagemaker", "delete_model", {"ModelName": model})


def describe_target(name: str) -> Call:
    parameters = {"ServiceNamespace": _NAMESPACE, "ResourceIds": [_resource(name)], "ScalableDimension": _DIMENSION}
    return Call("application-autoscaling", "describe_scalable_targets", parameters)


def describe_policies(name: str) -> Call:
    return _scaling("describe_scaling_policies", name)


def deregister(name: str) -> Call:
    """Removes the scaling policies with it."""
    return _scaling("deregister_scalable_target", name)


def restore(name: str, target: dict[str, Any], policies: list[dict[str, Any]]) -> Iterator[Call]:
    """The calls that set scaling again as it was described."""
    bounds = {key: target[key] for key in ("MinCapacity", "MaxCapacity")}
    yield _scaling("register_scalable_target", name, **bounds)
    kept = ("PolicyName", "PolicyType", "TargetTrackingScalingPolicyConfiguration", "StepScalingPolicyConfiguration")
    for policy in policies:
        yield _scaling("put_scaling_policy", name, **{key: policy[key] for key in kept if policy.get(key)})


def find_object(package: Package) -> Call:
    return Call("s3", "head_object", {"Bucket": package.bucket, "Key": package.key})


def upload(package: Package) -> Call:
    parameters = {"Filename": str(package.path), "Bucket": package.bucket, "Key": package.key}
    return Call("s3", "upload_file", parameters)


def delete_object(url: str) -> Call:
    bucket, key = ("…", "…") if "…" in url else _parts(url)
    return Call("s3", "delete_object", {"Bucket": bucket, "Key": key})


def _parts(url: str) -> tuple[str, str]:
    match = _S3.fullmatch(url)
    if match is None:
        raise DeploymentError(f"{url} is no address of an object in S3; they look like s3://bucket/model.tar.gz.")
    return match["bucket"], match["key"]


def _scaling(operation: str, name: str, **parameters: Any) -> Call:
    where = {"ServiceNamespace": _NAMESPACE, "ResourceId": _resource(name), "ScalableDimension": _DIMENSION}
    return Call("application-autoscaling", operation, where | parameters)


def _resource(name: str) -> str:
    return f"endpoint/{name}/variant/{VARIANT}"


def _named(name: str, *contents: Any) -> str:
    digest = hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()
    return f"{name}-{digest[:_DIGITS]}"

"""A deployment, brought about: created, put in the place of another, or removed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from endpoint import deployment as calls
from endpoint.aws import Aws, AwsError, NotFound, Sent
from endpoint.deployment import Call, Deployment, Machines, Package

POLL = 10.0
"""Seconds between two looks at an endpoint that is in the making; it takes minutes."""

_AT_REST = ("InService", "Failed", "OutOfService", "UpdateRollbackFailed")

Say = Callable[[str], None]


class RolloutError(Exception):
    """It did not come about; a sentence that says why, and what is left of it."""


class Unfinished(RolloutError):
    """Nobody waits for it any longer; it goes on in AWS."""


class Rollout:
    """Brings deployments of one endpoint about; `say` hears what is done, `status` how the endpoint is meanwhile."""

    def __init__(self, aws: Aws, name: str, *, timeout: float, say: Say, status: Say) -> None:
        self._aws = aws
        self._name = name
        self._timeout = timeout
        self._say = say
        self._status = status
        #: what takes back what was done, in the order in which it was done
        self._undo: list[Call] = []
        #: whether AWS may have been told to bring it about
        self._told = False
        #: whether AWS is known to be at work; it goes on without this process
        self._at_work = False

    def deploy(self, wanted: Deployment, sent: Sent) -> None:
        """Create the endpoint or update it, and wait for it; what is so already is left alone.

        Where that fails, what was made here is removed again. Raises RolloutError and AwsError.
        """
        self._undo, self._told, self._at_work = [], False, False
        found = self._find(calls.describe_endpoint(self._name))
        settled = found is not None and self._is_settled(found, wanted)
        try:
            if not settled:
                if wanted.package is not None:
                    self._upload(wanted.package, sent)
                self._create(calls.describe_model(wanted.model), wanted.create_model())
                self._create(calls.describe_configuration(wanted.configuration), wanted.create_configuration())
                self._switch(found, wanted)
            self._at_work = True
            self._in_service(wanted)
        except Unfinished:
            raise
        except KeyboardInterrupt as interrupt:
            if self._is_coming(wanted):
                raise Unfinished(f"Nobody waits for {self._name} any longer. {self._goes_on}") from interrupt
            raise RolloutError(f"Stopped.{self._take_back()}") from interrupt
        except AwsError as error:
            # What AWS is at work on must not lose its configuration, whatever became of the call or of the network.
            if self._is_coming(wanted):
                raise Unfinished(f"{error} {self._goes_on}") from error
            raise AwsError(f"{error}{self._take_back()}") from error
        except RolloutError as error:
            raise RolloutError(f"{error}{self._take_back()}") from error
        scaled = self._scale(wanted)
        removed, addresses = self._remove_parts(keep={wanted.configuration, wanted.model})
        for address in sorted(addresses - {wanted.model_data}):
            self._say(_stays(address))
        if settled and not scaled and not removed:
            self._say(f"{self._name} was like this already; nothing was changed.")

    def remove(self, *, data: bool) -> None:
        """Remove the endpoint and all that its deployments have made, as far as it is there.

        Raises RolloutError and AwsError.
        """
        found = self._find(calls.describe_endpoint(self._name))
        if found is not None and not calls.is_ours(self._name, found["EndpointConfigName"]):
            raise RolloutError(self._foreign(found))
        if self._target() is not None:
            self._aws.do(calls.deregister(self._name))
            self._say("Scaling was deregistered.")
        if found is None:
            self._say(f"There is no endpoint {self._name}.")
        else:
            # AWS deletes none that it is at work on.
            found = self._wait(lambda found: found is None or found["EndpointStatus"] in (*_AT_REST, "Deleting"))
            if found is not None and found["EndpointStatus"] != "Deleting":
                self._quietly(calls.delete_endpoint(self._name))
            self._wait(lambda found: found is None)
            self._say(f"The endpoint {self._name} was deleted.")
        _removed, addresses = self._remove_parts(keep=set())
        for address in sorted(addresses):
            if data:
                self._aws.do(calls.delete_object(address))
            self._say(f"{address} was deleted." if data else _stays(address))

    def _is_settled(self, found: dict[str, Any], wanted: Deployment) -> bool:
        """Whether the endpoint is, or is on the way to be, what is wanted. Raises RolloutError if it cannot be."""
        if not calls.is_ours(self._name, found["EndpointConfigName"]):
            raise RolloutError(self._foreign(found))
        status = found["EndpointStatus"]
        if status in _AT_REST and status != "InService":
            why = found.get("FailureReason", "AWS gives no reason")
            raise RolloutError(
                f"The endpoint {self._name} is {status}: {why}. Remove it with --delete, then deploy it again."
            )
        if status == "InService":
            return bool(found["EndpointConfigName"] == wanted.configuration)
        if status == "Creating" and found["EndpointConfigName"] == wanted.configuration:
            return True
        if status == "Updating" and _pending(found) == wanted.configuration:
            return True
        raise RolloutError(f"The endpoint {self._name} is {status} just now; run the command again when it is not.")

    def _is_coming(self, wanted: Deployment) -> bool:
        """Whether AWS has been told to bring about what is wanted, though its answer may have been lost.

        Where AWS cannot be asked, it may well be at work, and then needs what was made.
        """
        if self._at_work:
            return True
        try:
            found = self._find(calls.describe_endpoint(self._name))
        except AwsError:
            return self._told
        self._at_work = found is not None and wanted.configuration in (found["EndpointConfigName"], _pending(found))
        return self._at_work

    def _foreign(self, found: dict[str, Any]) -> str:
        return (
            f"There is an endpoint {self._name} that was not deployed with this command (its configuration is "
            f"{found['EndpointConfigName']}); it was left alone. Take another --name."
        )

    def _upload(self, package: Package, sent: Sent) -> None:
        found = self._find(calls.find_object(package))
        if found is not None and found["ContentLength"] == package.path.stat().st_size:
            self._say(f"The package is at {package.url} already.")
            return
        self._aws.do(calls.upload(package), sent)
        self._undo.append(calls.delete_object(package.url))
        self._say(f"The package was uploaded to {package.url}.")

    def _create(self, describe: Call, create: Call) -> None:
        """Its name says all that is in it: what has the name is the same."""
        if self._find(describe) is not None:
            return
        self._aws.do(create)
        if create.operation == "create_model":
            self._undo.append(calls.delete_model(create.parameters["ModelName"]))
        else:
            self._undo.append(calls.delete_configuration(create.parameters["EndpointConfigName"]))

    def _switch(self, found: dict[str, Any] | None, wanted: Deployment) -> None:
        if found is None:
            self._told = True
            self._aws.do(wanted.create_endpoint())
            self._undo.append(calls.delete_endpoint(self._name))
            self._at_work = True
            self._say(f"The endpoint {self._name} is being created; this takes some minutes.")
            return
        target = self._target()
        # AWS refuses to change the type of machines that are scaled.
        same = target is not None and wanted.scaling is not None and self._same_machines(found, wanted)
        if target is not None and not same:
            policies = list(self._aws.all(calls.describe_policies(self._name), "ScalingPolicies"))
            self._aws.do(calls.deregister(self._name))
            self._undo += reversed(list(calls.restore(self._name, target, policies)))
        self._told = True
        self._aws.do(wanted.update_endpoint(keep_count=same))
        self._at_work = True
        self._say(f"The endpoint {self._name} is being updated; it answers meanwhile.")

    def _same_machines(self, found: dict[str, Any], wanted: Deployment) -> bool:
        described = self._aws.do(calls.describe_configuration(found["EndpointConfigName"]))
        return isinstance(wanted.capacity, Machines) and all(
            variant.get("InstanceType") == wanted.capacity.instance_type
            for variant in described["ProductionVariants"]
        )

    def _in_service(self, wanted: Deployment) -> None:
        found = self._wait(lambda found: found is None or found["EndpointStatus"] in _AT_REST)
        if found is None:
            raise RolloutError(f"The endpoint {self._name} was deleted meanwhile.")
        if found["EndpointStatus"] == "InService" and found["EndpointConfigName"] == wanted.configuration:
            self._say(f"The endpoint {self._name} is in service.")
            return
        if found["EndpointStatus"] == "UpdateRollbackFailed":
            self._undo = []  # some of its machines may still need what was made
        why = found.get("FailureReason", "AWS gives no reason")
        raise RolloutError(
            f"The endpoint {self._name} could not be brought into service: {why}. The container's own words are in "
            f"CloudWatch, log group /aws/sagemaker/Endpoints/{self._name}."
        )

    def _wait(self, done: Callable[[dict[str, Any] | None], bool]) -> dict[str, Any] | None:
        """Poll the endpoint until `done` is true of it, and return it, or None if it does not exist."""
        started = time.monotonic()
        while not done(found := self._find(calls.describe_endpoint(self._name))):
            state = found["EndpointStatus"] if found else "absent"
            waited = time.monotonic() - started
            if waited > self._timeout:
                raise Unfinished(f"The endpoint {self._name} is still {state} after {waited:.0f} s. {self._goes_on}")
            self._status(f"{self._name}: {state}, {waited:.0f} s")
            time.sleep(POLL)
        return found

    @property
    def _goes_on(self) -> str:
        goes_on = "It goes on in AWS" if self._at_work else "It may go on in AWS, which cannot be asked just now"
        return (
            f"{goes_on}; run the same command again to wait for it and to finish what is left to do. “aws "
            f"sagemaker describe-endpoint --endpoint-name {self._name} --region {self._aws.region}” shows how it is."
        )

    def _scale(self, wanted: Deployment) -> bool:
        """Whether scaling had to be set or taken away. Serverless endpoints scale by themselves."""
        if not isinstance(wanted.capacity, Machines):
            return False
        target, scale = self._target(), wanted.scale()
        if scale is None:
            if target is not None:
                self._aws.do(calls.deregister(self._name))
                self._say("Scaling was deregistered.")
            return target is not None
        register, policy = scale
        if target is not None and _covers(target, register.parameters):
            policies = self._aws.all(calls.describe_policies(self._name), "ScalingPolicies")
            if any(_covers(described, policy.parameters) for described in policies):
                return False
        self._aws.do(register)
        self._aws.do(policy)
        least, most = register.parameters["MinCapacity"], register.parameters["MaxCapacity"]
        self._say(f"It scales between {least} and {most} machines.")
        return True

    def _target(self) -> dict[str, Any] | None:
        return next(self._aws.all(calls.describe_target(self._name), "ScalableTargets"), None)

    def _remove_parts(self, keep: set[str]) -> tuple[int, set[str]]:
        """Delete this endpoint's configurations and models but for `keep`.

        Returns how many that were, and where the packages of those models lie.
        """
        removed, addresses = 0, set()
        for found in list(self._aws.all(calls.list_configurations(self._name), "EndpointConfigs")):
            configuration = found["EndpointConfigName"]
            if calls.is_ours(self._name, configuration) and configuration not in keep:
                self._quietly(calls.delete_configuration(configuration))
                self._say(f"The configuration {configuration} was deleted.")
                removed += 1
        for found in list(self._aws.all(calls.list_models(self._name), "Models")):
            model = found["ModelName"]
            if calls.is_ours(self._name, model) and model not in keep:
                described = self._find(calls.describe_model(model)) or {}
                if address := described.get("PrimaryContainer", {}).get("ModelDataUrl"):
                    addresses.add(address)
                self._quietly(calls.delete_model(model))
                self._say(f"The model {model} was deleted.")
                removed += 1
        return removed, addresses

    def _take_back(self) -> str:
        """Undo what was done, the last first; return what to say of it."""
        if not self._undo:
            return ""
        left = []
        while self._undo:
            call = self._undo.pop()
            try:
                self._quietly(call)
                if call.operation == "delete_endpoint":
                    self._wait(lambda found: found is None)
            except (AwsError, RolloutError) as error:
                left.append(f"{call.operation} {call.parameters}: {error}")
        if left:
            return f" Not all of what this run had made could be removed; --delete tries it again. {' '.join(left)}"
        return " What this run had made was removed again."

    def _find(self, describe: Call) -> dict[str, Any] | None:
        try:
            return self._aws.do(describe)
        except NotFound:
            return None

    def _quietly(self, call: Call) -> None:
        """Make a call that removes something which may be gone already."""
        try:
            self._aws.do(call)
        except NotFound:
            return


def _stays(address: str) -> str:
    return f"The package stays at {address}, at S3's price; “aws s3 rm {address}” removes it."


def _pending(found: dict[str, Any]) -> str | None:
    """The configuration that an endpoint is being updated to."""
    configuration: str | None = found.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
    return configuration


def _covers(found: Any, wanted: Any) -> bool:
    """Whether all that is wanted was found, beside whatever else was."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_covers(found.get(key), wanted[key]) for key in wanted)
    return bool(found == wanted)

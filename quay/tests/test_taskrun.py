"""From Quay's build pack to the TaskRun and its Secret."""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from quayfakes import ARCHIVE_PACK, BUILD, GIT_PACK, SECRETS, token

from slipway_quay import rpc, taskrun
from slipway_quay.config import Config, load
from slipway_quay.job import BuildJob
from slipway_quay.taskrun import BuildPack, GitPackage, PackError, manifests, name_of, paths

CONFIG = load({"EXECUTOR": "tekton", "NAME": "builds", "SSH_KNOWN_HOSTS": "git.example.com ssh-ed25519 AAAA"})


def job(pack: BuildPack = GIT_PACK) -> BuildJob:
    return BuildJob(BUILD, name_of(BUILD, token()), "", f"building/{BUILD}", 1_800_000_000.5, pack.repository, pack.job_token)


def made(pack: BuildPack = GIT_PACK, config: Config = CONFIG) -> taskrun.Manifests:
    return manifests(pack, job(pack), config)


def params(result: taskrun.Manifests) -> dict[str, Any]:
    return {param["name"]: param["value"] for param in result.taskrun["spec"]["params"]}


def data(result: taskrun.Manifests) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in result.secret["data"].items()}


def environment(result: taskrun.Manifests) -> dict[str, str]:
    """What the steps find in their environment."""
    kept, found = data(result), {}
    for variable in result.taskrun["spec"]["podTemplate"]["env"]:
        found[variable["name"]] = variable["value"] if "value" in variable else kept[variable["valueFrom"]["secretKeyRef"]["key"]]
    return found


def workspace(result: taskrun.Manifests, name: str) -> dict[str, str]:
    """What a step finds in a workspace."""
    kept = data(result)
    bound = next(each for each in result.taskrun["spec"]["workspaces"] if each["name"] == name)["secret"]
    assert bound["secretName"] == result.secret["metadata"]["name"]
    return {item["path"]: kept[item["key"]] for item in bound["items"]}


def logins(text: str) -> dict[str, str]:
    return {where: base64.b64decode(entry["auth"]).decode() for where, entry in json.loads(text)["auths"].items()}


def hostile_pack() -> BuildPack:
    git = GitPackage("https://git.example.com/$(params.IMAGE)", "$(HOME)$$(HOME)", "PRIVATE-KEY-TEXT")
    return replace(GIT_PACK, git=git, context="/it's \"here\"\n", dockerfile_path="--$(context.taskRun.name)/$$")


MANIFESTS = {
    "git": (GIT_PACK, {"SSH_KNOWN_HOSTS": "git.example.com ssh-ed25519 AAAA"}),
    "archive": (
        ARCHIVE_PACK,
        {
            "CONTAINER_MEMORY_LIMITS": "4Gi",
            "STORAGE_SIZE": "20Gi",
            "HTTPS_PROXY": "http://user:PROXY-PASSWORD@proxy:3128",
            "CA_CERT": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "IMAGE_PULL_SECRET_NAME": "pull",
            "NODE_SELECTOR_LABEL_VALUE": "builds",
            "POD_TEMPLATE": {"hostUsers": False, "tolerations": [{"key": "builds", "operator": "Exists"}]},
            "TASK_PARAMS": {"LABELS": ["a=b"], "RECIPE": "A"},
        },
    ),
    "hostile": (hostile_pack(), {}),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_are_what_tektons_own_code_has_been_shown(name: str) -> None:
    """tests/tekton/quay_test.go has Tekton validate these files and make Pods of them. UPDATE_GOLDEN=1 writes them anew."""
    pack, entry = MANIFESTS[name]
    result = made(pack, load({"NAME": "builds"} | entry))
    git = pack.git or GitPackage("", "", "")
    context, dockerfile = paths(pack.context, pack.dockerfile_path)
    texts = {"url": git.url, "revision": git.sha, "archive": pack.package_url or "", "context": context, "dockerfile": dockerfile}
    said = {"texts": texts, "secrets": [*SECRETS, "PROXY-PASSWORD"], "taskrun": result.taskrun, "secret": result.secret}
    file = Path(__file__).parent / "manifests" / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert said == json.loads(file.read_text(encoding="utf-8"))


def test_a_git_build() -> None:
    result = made()
    assert params(result) == {
        "url": "git@git.example.com:team/app.git",
        "revision": "0123456789abcdef0123456789abcdef01234567",
        "CONTEXT": "",
        "DOCKERFILE": "Dockerfile",
        "IMAGE": "quay.example.com/team/app:latest",
        "TAGS": ["v1.2"],
    }
    assert workspace(result, "ssh-directory") == {
        "ssh-privatekey": "PRIVATE-KEY-TEXT\n",
        "known_hosts": "git.example.com ssh-ed25519 AAAA",
    }
    assert environment(result) == {}
    spec = result.taskrun["spec"]
    assert spec["taskRef"] == {"kind": "Task", "name": "slipway"}
    assert spec["serviceAccountName"] == "quay-builder-sa"
    assert spec["timeout"] == "7200s"
    assert spec["podTemplate"]["automountServiceAccountToken"] is False


def test_without_known_hosts_a_hosts_key_is_taken_as_quays_builder_did() -> None:
    assert environment(made(config=load({})))["SLIPWAY_ACCEPT_NEW_HOST_KEY"] == "true"


def test_an_archives_url_is_a_secret() -> None:
    result = made(ARCHIVE_PACK)
    assert environment(result) == {"SLIPWAY_ARCHIVE": ARCHIVE_PACK.package_url}
    assert "url" not in params(result)
    assert not any(each["name"] == "ssh-directory" for each in result.taskrun["spec"]["workspaces"])


def test_credentials_reach_only_the_steps_that_need_them() -> None:
    result = made()
    assert logins(workspace(result, "push-dockerconfig")["config.json"]) == {"quay.example.com/team/app": "$token:PUSH-TOKEN"}
    assert logins(workspace(result, "pull-dockerconfig")["config.json"]) == {
        "quay.example.com/team/app": "$token:PULL-TOKEN",
        "quay.example.com": "team+robot:ROBOT-PASSWORD",
    }
    without = made(replace(GIT_PACK, base_username="", base_password=""))
    assert set(logins(workspace(without, "pull-dockerconfig")["config.json"])) == {"quay.example.com/team/app"}


@pytest.mark.parametrize("pack", [GIT_PACK, ARCHIVE_PACK])
def test_no_secret_is_outside_the_secret(pack: BuildPack) -> None:
    config = load({"HTTPS_PROXY": "http://u:PROXY-PASSWORD@proxy"})
    result = made(pack, config)
    text = json.dumps(result.taskrun) + repr(result) + repr(pack) + repr(job(pack))
    for secret in (*SECRETS, "PROXY-PASSWORD"):
        assert secret not in text
        assert base64.b64encode(secret.encode()).decode()[:-4] not in text
    assert "JOB-TOKEN" not in json.dumps(data(result)), "Quay's job token enters no pod"


def test_the_secret_is_owned_by_the_taskrun_and_can_be_found() -> None:
    result = made()
    created = result.taskrun | {"metadata": result.taskrun["metadata"] | {"uid": "u-1"}}
    owner = taskrun.owner_patch(created)["metadata"]["ownerReferences"]
    assert owner == [{"apiVersion": "tekton.dev/v1", "kind": "TaskRun", "name": result.secret["metadata"]["name"], "uid": "u-1"}]
    assert result.secret["metadata"]["labels"] == result.taskrun["metadata"]["labels"]
    assert BuildJob.of_taskrun(created) == replace(job(), uid="u-1", token=None)


HOSTILE = [
    "$(params.IMAGE)",
    "$(params['url'])",
    "$(context.taskRun.name)",
    "$(workspaces.push-dockerconfig.path)/config.json",
    "$(HOME)",
    "$$(HOME)",
    "a$$b",
    "$(cat /etc/passwd)",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["url", "revision", "CONTEXT", "DOCKERFILE"])
def test_text_that_looks_like_a_reference_goes_where_nobody_substitutes(field: str, text: str) -> None:
    git = GIT_PACK.git
    assert git is not None
    pack = {
        "url": replace(GIT_PACK, git=replace(git, url=text)),
        "revision": replace(GIT_PACK, git=replace(git, sha=text)),
        "CONTEXT": replace(GIT_PACK, context=text, dockerfile_path=""),
        "DOCKERFILE": replace(GIT_PACK, dockerfile_path=text),
    }[field]
    result = made(pack)
    assert environment(result)[f"SLIPWAY_{field.upper()}"] == text
    assert params(result)[field] == ""
    assert "$" not in json.dumps(result.taskrun["spec"]["params"])


@pytest.mark.parametrize(
    "text", ["it's", 'say "hi"', "a\nb", "--image=evil", "-x", "; rm -rf /", "`id`", "ümlaut ☃", "a\tb", "%s{0}", "\\", "*"]
)
@pytest.mark.parametrize("field", ["url", "revision"])
def test_any_other_text_is_one_parameters_value(field: str, text: str) -> None:
    git = GIT_PACK.git
    assert git is not None
    changed = replace(git, url=text) if field == "url" else replace(git, sha=text)
    result = made(replace(GIT_PACK, git=changed))
    assert json.loads(json.dumps(params(result)))[field] == text
    assert environment(result) == {}


def test_a_reference_to_a_steps_result_is_refused() -> None:
    with pytest.raises(PackError, match="step's result"):
        made(replace(GIT_PACK, context="$(steps.fetch.results.commit)"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tags": ()}, "no tag"),
        ({"tags": ("a b",)}, "'a b' is not a tag"),
        ({"tags": ("ok", "$(params.url)")}, "is not a tag"),
        ({"tags": ("x" * 129,)}, "is not a tag"),
        ({"tags": tuple(f"t{n}" for n in range(101))}, "101 tags"),
        ({"repository": "team/app$(HOME)"}, "not a repository"),
        ({"repository": "team/app\n"}, "not a repository"),
        ({"repository": "../app"}, "not a repository"),
        ({"registry": "quay.example.com/evil"}, "registry's name"),
        ({"git": None, "package_url": None}, "no source"),
        ({"git": GitPackage("", "", "")}, "no git URL"),
        ({"context": "x" * 9000}, "longer than 8192"),
        ({"git": GitPackage("a\0b", "", "")}, "or no text"),
        ({"git": GitPackage("u", "r", "k" * 1_000_000)}, "more than a Secret"),
    ],
)
def test_what_cannot_be_built_is_refused_in_words_for_its_author(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(PackError, match=re.escape(said)) as refused:
        made(replace(GIT_PACK, **changed))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("context", "dockerfile", "expected"),
    [
        ("/", "Dockerfile", ("", "Dockerfile")),
        ("", "", ("", "")),
        ("/", "", ("", "")),
        ("/app", "Dockerfile", ("app", "app/Dockerfile")),
        ("/app/", "docker/Dockerfile.prod", ("app", "app/docker/Dockerfile.prod")),
        ("app//sub/.", "./Dockerfile", ("app/sub", "app/sub/Dockerfile")),
        ("/app", "../Dockerfile", ("app", "Dockerfile")),
        ("/app", "/Dockerfile", ("app", "app/Dockerfile")),
        ("/..", "Dockerfile", ("..", "../Dockerfile")),
        ("/-x", "--y", ("-x", "-x/--y")),
    ],
)
def test_the_dockerfile_is_relative_to_the_context(context: str, dockerfile: str, expected: tuple[str, str]) -> None:
    assert paths(context, dockerfile) == expected


def test_every_attempt_has_a_name_of_its_own_and_every_repetition_the_same() -> None:
    names = {name_of(BUILD, token(attempt=attempt)) for attempt in (1, 2, 3)}
    assert len(names) == 3
    assert name_of(BUILD, token()) == name_of(BUILD, token())
    assert all(taskrun.NAME.fullmatch(name) and len(name) <= 58 for name in names)


@pytest.mark.parametrize("build_id", ["", "a/b", "a" * 60, "ü", "-a", "a b"])
def test_a_build_id_that_is_none_is_refused(build_id: str) -> None:
    with pytest.raises(PackError):
        name_of(build_id, "t")


def test_a_registrations_reply_is_read_whole() -> None:
    reply = rpc.new(
        "BuildPack",
        job_jwt="JOB-TOKEN",
        git_package=rpc.new("GitPackage", url="u", sha="s", private_key="k"),
        context="/c",
        dockerfile_path="d",
        repository="team/app",
        registry="r",
        pull_token="p1",
        push_token="p2",
        tag_names=["a", "b", "a"],
        base_image=rpc.new("BaseImage", username="n", password="w"),
    )
    assert BuildPack.of_message(reply) == BuildPack(
        "/c", "d", "r", "team/app", ("a", "b"), None, GitPackage("u", "s", "k"), "p1", "p2", "n", "w", "JOB-TOKEN"
    )
    assert BuildPack.of_message(rpc.new("BuildPack", package_url="https://x")).package_url == "https://x"


def test_resources_and_settings_of_the_configuration() -> None:
    config = load(
        {
            "STORAGE_SIZE": "20Gi",
            "CONTAINER_MEMORY_LIMITS": "4Gi",
            "INSECURE": True,
            "TASK_PARAMS": {"RECIPE": "A", "LABELS": ["a=b"]},
            "POD_TEMPLATE": {"hostUsers": False, "tolerations": [{"key": "builds"}]},
            "CA_CERT": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----",
        }
    )
    result = made(config=config)
    assert params(result) | {"RECIPE": "A", "LABELS": ["a=b"], "TLSVERIFY": "false"} == params(result)
    assert result.taskrun["spec"]["podTemplate"]["hostUsers"] is False
    assert result.taskrun["spec"]["stepSpecs"] == config.step_resources
    assert workspace(result, "sslcertdir").keys() == workspace(result, "ssl-ca-directory").keys() == {"ca-bundle.crt"}

"""python -m slipway_quay manager | preflight | install | check

Exit status: 0, 1 when something failed, 2 for what was asked wrongly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from slipway_quay import __version__
from slipway_quay.config import Config, ConfigError, load


class _Asked(Exception):
    """What was asked for makes no sense; the text says why."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="slipway_quay", description="Runs Quay's builds as Tekton TaskRuns of Slipway.")
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("manager", help="Quay's build manager, with the executor 'tekton' (in place of python -m buildman.builder)")
    check = verbs.add_parser("check", help="is the executor's configuration right?")
    preflight = verbs.add_parser("preflight", help="can builds run? with the executor's own credentials")
    for verb in (check, preflight):
        verb.add_argument("--config", required=True, metavar="FILE", help="Quay's config.yaml")
        verb.add_argument("--executor", metavar="NAME", help="its NAME, if there are several of kind tekton")
    preflight.add_argument("--wait", type=float, default=300, metavar="SECONDS", help="for each TaskRun (300)")
    preflight.add_argument("--base-image", metavar="IMAGE", help="the trial build is FROM this and has a RUN (nothing is pulled)")
    install = verbs.add_parser("install", help="puts Tekton, namespace, rights and the Task into a cluster; can be repeated")
    install.add_argument("--namespace", default="builder")
    install.add_argument("--service-account", default="quay-builder-sa", metavar="NAME", help="of the builds' pods")
    install.add_argument("--tekton", metavar="FILE|URL|openshift-operator", help="Tekton's release manifest, or the operator")
    install.add_argument("--task", action="append", default=[], metavar="FILE|URL|FOLDER", help="the Task; repeatable")
    install.add_argument("--client", default="kubectl", metavar="PATH", help="kubectl or oc (kubectl)")
    install.add_argument("--kubeconfig", metavar="FILE", help="of somebody who may do all this")
    install.add_argument("--dry-run", action="store_true", help="print what would be applied for namespace and rights")
    options = parser.parse_args(argv)
    try:
        return int(_VERBS[options.verb](options))
    except _Asked as error:
        print(error, file=sys.stderr)
        return 2


def _configuration(options: argparse.Namespace) -> Config:
    try:
        with open(options.config, encoding="utf-8") as file:
            quay = yaml.safe_load(file)
    except (OSError, yaml.YAMLError) as error:
        raise _Asked(f"{options.config}: {getattr(error, 'strerror', None) or 'not YAML'}") from None
    try:
        entries = [entry for entry in quay["BUILD_MANAGER"][1]["EXECUTORS"] if entry.get("EXECUTOR") == "tekton"]
    except (KeyError, IndexError, TypeError, AttributeError):
        raise _Asked(f"{options.config}: there is no BUILD_MANAGER: [ephemeral, {{EXECUTORS: […]}}]") from None
    if options.executor is not None:
        entries = [entry for entry in entries if (entry.get("NAME") or "TektonExecutor") == options.executor]
    if len(entries) != 1:
        hint = "; --executor names one" if entries else ""
        raise _Asked(f"{options.config}: {len(entries) or 'no'} executors of kind tekton{hint}")
    return load(entries[0])


def _check(options: argparse.Namespace) -> int:
    try:
        config = _configuration(options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"executor {config.name}: {config.api.server}, namespace {config.api.namespace}")
    return 0


def _preflight(options: argparse.Namespace) -> int:
    from slipway_quay.cluster.connect import connect
    from slipway_quay.preflight import FAILED, Preflight

    if _check(options):
        return 1
    failed = False
    for finding in Preflight(_configuration(options), connect, wait=options.wait, image=options.base_image).run():
        print(finding, flush=True)
        failed = failed or finding.verdict == FAILED
    return int(failed)


def _install(options: argparse.Namespace) -> int:
    from slipway_quay.install import InstallError, Plan, builder_manifests, client, install

    if options.dry_run:
        print(yaml.safe_dump_all(builder_manifests(options.namespace, options.service_account), sort_keys=False), end="")
        return 0
    plan = Plan(options.namespace, options.service_account, options.tekton, tuple(options.task))
    try:
        install(plan, client(options.client, options.kubeconfig), print)
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _manager(_: argparse.Namespace) -> int:
    from slipway_quay import launcher

    launcher.main()
    return 0


_VERBS: dict[str, Any] = {"manager": _manager, "check": _check, "preflight": _preflight, "install": _install}

if __name__ == "__main__":
    sys.exit(main())

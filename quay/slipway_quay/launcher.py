"""Starts Quay's build manager, unmodified, with the executor `tekton` registered.

Takes the place of `python -m buildman.builder` in Quay's container: `python -m slipway_quay manager`, from the same
directory, with the same environment. Everything else is Quay's own main program.
"""

from __future__ import annotations

import runpy

KEY = "tekton"


def register() -> None:
    """Adds the executor to the kinds Quay knows; may be called again."""
    from buildman.manager.ephemeral import EphemeralBuilderManager  # type: ignore[import-not-found]

    from slipway_quay.tekton import TektonExecutor

    EphemeralBuilderManager.EXECUTORS[KEY] = TektonExecutor


def main() -> None:
    register()
    runpy.run_module("buildman.builder", run_name="__main__", alter_sys=True)

"""Runs Quay's builds as Tekton TaskRuns of Slipway.

`executor` is what Quay's build manager loads, `taskrun` turns a build pack into manifests, `cluster` talks to Kubernetes,
`follower` carries what the steps say back to Quay.
"""

__version__ = "0.1.0"

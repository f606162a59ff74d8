"""Which adapter a configuration asks for: the one place that knows both."""

from __future__ import annotations

from slipway_quay.cluster import Cluster
from slipway_quay.config import Api


def connect(settings: Api) -> Cluster:
    """Makes no request yet."""
    if settings.access == "openshift":
        from slipway_quay.cluster.openshift import OpenShiftCluster

        return OpenShiftCluster(settings)
    from slipway_quay.cluster.rest import RestCluster

    return RestCluster(settings)

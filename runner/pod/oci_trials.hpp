// What OCI isolation needs of a pod beyond namespaces and proc, as crun asks for it when it makes a
// container.
#pragma once

#include "pod/probe.hpp"

namespace slipway::pod {

/// Fills report.keyring, hostname and cgroup. What decides how crun asks must be known already: uid, uid_map,
/// entry and the runtime's path. Harmless: keyring and host name are a child's own and end with it, a cgroup
/// is empty and removed at once.
void try_oci_runtime(Report& report, const Paths& paths);

} // namespace slipway::pod

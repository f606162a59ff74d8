// What OCI isolation needs of a pod beyond namespaces and proc, as crun asks for it when it makes a
// container.
#pragma once

#include "pod/probe.hpp"

#include <filesystem>

namespace slipway::pod {

/// Fills report.keyring and report.cgroup. What decides whether crun forgives a cgroup it could not make must
/// be known already: uid, uid_map and the runtime's path. `cgroup` is where cgroups are mounted,
/// /sys/fs/cgroup. Harmless: the keyring is a child's own and ends with it, the cgroup is empty and removed
/// at once.
void try_oci_runtime(Report& report, const std::filesystem::path& cgroup);

} // namespace slipway::pod

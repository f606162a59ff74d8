// Prints the seccomp profile that a container runtime applies for RuntimeDefault, as `podman --security-opt seccomp=`
// takes it.
//
//	profiles containerd [CAPABILITY...]   from the runtime's own module; the rules depend on the pod's bounding set
//	profiles crio                         the library CRI-O starts from, with CRI-O's change; podman resolves capabilities
//
// Capabilities are written as CAP_SYS_ADMIN. Exit status 2 for anything else. The modules' versions are those of go.mod:
// containerd's newest, and for CRI-O 1.36 the version its own go.mod names.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

	containerd "github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	common "go.podman.io/common/pkg/seccomp"
	"golang.org/x/sys/unix"
)

const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID |
	unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

func ofContainerd(capabilities []string) any {
	return containerd.DefaultProfile(&specs.Spec{
		Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: capabilities}},
	})
}

// ofCrio: CRI-O's function is in an internal package, so its change is made here again: calls that make namespaces need
// SYS_ADMIN, except clone without such a flag; clone3 hides its flags and answers that it does not exist.
func ofCrio() any {
	profile := common.DefaultProfile()
	guarded := []string{"clone", "clone3", "unshare"}
	found := 0
	for _, rule := range profile.Syscalls {
		if rule.Action != common.ActAllow || len(rule.Includes.Caps) > 0 {
			continue
		}
		before := len(rule.Names)
		rule.Names = slices.DeleteFunc(rule.Names, func(name string) bool { return slices.Contains(guarded, name) })
		found += before - len(rule.Names)
	}
	if found != len(guarded) {
		fmt.Fprintf(os.Stderr, "profiles: the library's profile names %d of %v\n", found, guarded)
		os.Exit(1)
	}
	admin := common.Filter{Caps: []string{"CAP_SYS_ADMIN"}}
	profile.Syscalls = append(profile.Syscalls,
		&common.Syscall{Names: guarded, Action: common.ActAllow, Includes: admin},
		&common.Syscall{Names: []string{"clone"}, Action: common.ActAllow,
			Args: []*common.Arg{{Index: 0, Value: namespaces, ValueTwo: 0, Op: common.OpMaskedEqual}}},
		&common.Syscall{Names: []string{"clone3"}, Action: common.ActErrno, Errno: "ENOSYS", Excludes: admin})
	return profile
}

func main() {
	var profile any
	switch {
	case len(os.Args) >= 2 && os.Args[1] == "containerd":
		profile = ofContainerd(os.Args[2:])
	case len(os.Args) == 2 && os.Args[1] == "crio":
		profile = ofCrio()
	default:
		fmt.Fprintln(os.Stderr, "usage: profiles containerd [CAPABILITY...] | profiles crio")
		os.Exit(2)
	}
	if err := json.NewEncoder(os.Stdout).Encode(profile); err != nil {
		fmt.Fprintln(os.Stderr, "profiles:", err)
		os.Exit(1)
	}
}

// Package podrun runs a Kubernetes Pod on one machine, under podman, as a kubelet would: init containers one after
// another, then all containers at once, each with the Pod's own security context, volumes, environment and
// arguments ($(VAR) expanded), and reports what a kubelet reports: statuses, exit codes, termination messages cut
// to their share.
//
// Nothing in it knows Tekton. It takes a corev1.Pod and gives a corev1.PodStatus, so it works the same with a Pod made
// by a test, or one that a real API server has handed out: Start, then Refresh whenever the Pod's metadata changed
// (the downward API is a volume), Status whenever somebody asks, Stop when it is deleted, Remove at the end.
//
// Not done: probes, lifecycle hooks, ephemeral containers, sidecars (restartPolicy Always), resource limits, host
// paths, CSI. A Pod that asks for one of the volumes that are not done is refused.
package podrun

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// Host is the machine: how podman works here, and where volumes and images are.
type Host struct {
	// RunOptions are needed by every `podman run` on this machine.
	RunOptions []string
	// Directory holds the volumes; a directory per Pod below it.
	Directory string
	// Images maps names in Pods to those in podman's storage; one that is not named is taken as it is.
	Images map[string]string
	// SeccompProfiles is where Localhost profiles are, by the last part of their names.
	SeccompProfiles string
	// RuntimeDefault makes the file that stands for the seccomp profile RuntimeDefault in a container with these
	// capabilities; podman's own profile where it is nil.
	RuntimeDefault func(capabilities []corev1.Capability) (string, error)
	// SubordinateIDs is the first id of the 65,536 that a Pod with hostUsers: false gets.
	SubordinateIDs int

	users sync.Map // image → its User
}

// Objects is what a Pod refers to.
type Objects interface {
	Secret(namespace, name string) (map[string][]byte, error)
	ConfigMap(namespace, name string) (map[string]string, error)
	// Claim is the directory that stands for a PersistentVolumeClaim.
	Claim(namespace, name string) (string, error)
}

func (h *Host) image(name string) string {
	if local, ok := h.Images[name]; ok {
		return local
	}
	return name
}

// imageUser is what USER says in the image, as podman tells it: uid, uid:gid, or a name.
func (h *Host) imageUser(ctx context.Context, image string) (string, error) {
	if user, ok := h.users.Load(image); ok {
		return user.(string), nil
	}
	out, err := podman(ctx, "image", "inspect", "--format", "{{.User}}", image)
	if err != nil {
		return "", err
	}
	user := strings.TrimSpace(out)
	h.users.Store(image, user)
	return user, nil
}

func podman(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "podman", arguments...)
	var out, problem bytes.Buffer
	command.Stdout, command.Stderr = &out, &problem
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("podman %s: %w: %s", strings.Join(arguments, " "), err, problem.String())
	}
	return out.String(), nil
}

// security is podman's options for a container's security context, the Pod's filled in.
func (h *Host) security(ctx context.Context, pod *corev1.Pod, container *corev1.Container) ([]string, error) {
	of := effective(pod.Spec.SecurityContext, container.SecurityContext)
	user, err := h.imageUser(ctx, h.image(container.Image))
	if err != nil {
		return nil, err
	}
	uid, gid, _ := strings.Cut(user, ":")
	if of.RunAsUser != nil {
		uid, gid = fmt.Sprint(*of.RunAsUser), ""
	}
	if of.RunAsGroup != nil {
		gid = fmt.Sprint(*of.RunAsGroup)
	}
	if uid == "" {
		uid = "0"
	}
	if of.RunAsNonRoot != nil && *of.RunAsNonRoot {
		if uid == "0" || uid == "root" {
			return nil, fmt.Errorf("container has runAsNonRoot and image will run as root")
		}
		if strings.Trim(uid, "0123456789") != "" {
			return nil, fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s)", uid)
		}
	}
	options := []string{"--user", strings.TrimSuffix(uid+":"+gid, ":")}
	if of.Privileged != nil && *of.Privileged {
		options = append(options, "--privileged")
	} else {
		options = append(options, "--security-opt", "label=disable")
		if of.Capabilities != nil {
			for _, drop := range of.Capabilities.Drop {
				options = append(options, "--cap-drop", string(drop))
			}
			for _, add := range of.Capabilities.Add {
				options = append(options, "--cap-add", string(add))
			}
		}
		profile, err := h.seccomp(of.SeccompProfile, of.Capabilities)
		if err != nil {
			return nil, err
		}
		options = append(options, profile...)
	}
	if of.AllowPrivilegeEscalation != nil && !*of.AllowPrivilegeEscalation {
		options = append(options, "--security-opt", "no-new-privileges")
	}
	if of.ReadOnlyRootFilesystem != nil && *of.ReadOnlyRootFilesystem {
		options = append(options, "--read-only", "--read-only-tmpfs=false")
	}
	if podContext := pod.Spec.SecurityContext; podContext != nil {
		if podContext.FSGroup != nil {
			options = append(options, "--group-add", fmt.Sprint(*podContext.FSGroup))
		}
		for _, group := range podContext.SupplementalGroups {
			options = append(options, "--group-add", fmt.Sprint(group))
		}
	}
	if pod.Spec.HostUsers != nil && !*pod.Spec.HostUsers {
		mapping := fmt.Sprintf("0:%d:65536", h.SubordinateIDs)
		options = append(options, "--uidmap", mapping, "--gidmap", mapping)
	}
	return options, nil
}

// seccomp: a profile that is not named is none, as it is unless a kubelet is told otherwise.
func (h *Host) seccomp(profile *corev1.SeccompProfile, capabilities *corev1.Capabilities) ([]string, error) {
	switch {
	case profile == nil || profile.Type == corev1.SeccompProfileTypeUnconfined:
		return []string{"--security-opt", "seccomp=unconfined"}, nil
	case profile.Type == corev1.SeccompProfileTypeLocalhost && profile.LocalhostProfile != nil:
		return []string{"--security-opt", "seccomp=" + filepath.Join(h.SeccompProfiles, filepath.Base(*profile.LocalhostProfile))}, nil
	case h.RuntimeDefault != nil:
		var added []corev1.Capability
		if capabilities != nil {
			added = capabilities.Add
		}
		path, err := h.RuntimeDefault(added)
		return []string{"--security-opt", "seccomp=" + path}, err
	}
	return nil, nil // podman's own
}

// effective is the container's security context with what only the Pod's says.
func effective(pod *corev1.PodSecurityContext, container *corev1.SecurityContext) corev1.SecurityContext {
	of := corev1.SecurityContext{}
	if container != nil {
		of = *container.DeepCopy()
	}
	if pod == nil {
		return of
	}
	if of.RunAsUser == nil {
		of.RunAsUser = pod.RunAsUser
	}
	if of.RunAsGroup == nil {
		of.RunAsGroup = pod.RunAsGroup
	}
	if of.RunAsNonRoot == nil {
		of.RunAsNonRoot = pod.RunAsNonRoot
	}
	if of.SeccompProfile == nil {
		of.SeccompProfile = pod.SeccompProfile
	}
	return of
}

func asJSON(words []string) string {
	text, _ := json.Marshal(words)
	return string(text)
}

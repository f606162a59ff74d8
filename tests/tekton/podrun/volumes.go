package podrun

import (
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
)

// makeVolumes gives each volume a directory on the machine.
func (p *Pod) makeVolumes() error {
	p.volumes = map[string]string{}
	for _, volume := range p.pod.Spec.Volumes {
		directory := filepath.Join(p.directory, "volumes", volume.Name)
		if claim := volume.PersistentVolumeClaim; claim != nil {
			at, err := p.objects.Claim(p.pod.Namespace, claim.ClaimName)
			if err != nil {
				return err
			}
			p.volumes[volume.Name] = at
			if err := p.own(at, 0o777); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
		p.volumes[volume.Name] = directory
		files, err := p.files(&volume)
		if err != nil {
			return fmt.Errorf("volume %s: %w", volume.Name, err)
		}
		for name, content := range files {
			if err := p.put(filepath.Join(directory, name), content); err != nil {
				return err
			}
		}
		if err := p.own(directory, 0o777); err != nil {
			return err
		}
	}
	return nil
}

// own makes a directory what a kubelet makes of it: open to everybody, fsGroup's where there is one.
func (p *Pod) own(directory string, mode os.FileMode) error {
	uid, gid := p.hostID(0), p.hostID(0)
	if context := p.pod.Spec.SecurityContext; context != nil && context.FSGroup != nil {
		gid = p.hostID(int(*context.FSGroup))
		mode |= os.ModeSetgid
	}
	if err := os.Chown(directory, uid, gid); err != nil {
		return err
	}
	return os.Chmod(directory, mode)
}

// hostID is what an id of the Pod is on the machine.
func (p *Pod) hostID(id int) int {
	if p.pod.Spec.HostUsers != nil && !*p.pod.Spec.HostUsers {
		return p.host.SubordinateIDs + id
	}
	return id
}

func (p *Pod) put(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	partial := path + ".partial"
	if err := os.WriteFile(partial, content, 0o644); err != nil {
		return err
	}
	return os.Rename(partial, path)
}

// files is what a volume is filled with; nil for one that starts empty.
func (p *Pod) files(volume *corev1.Volume) (map[string][]byte, error) {
	files := map[string][]byte{}
	switch {
	case volume.EmptyDir != nil:
		return files, nil
	case volume.Secret != nil:
		return files, p.secretFiles(files, volume.Secret.SecretName, volume.Secret.Items, volume.Secret.Optional)
	case volume.ConfigMap != nil:
		return files, p.configFiles(files, volume.ConfigMap.Name, volume.ConfigMap.Items, volume.ConfigMap.Optional)
	case volume.DownwardAPI != nil:
		return files, p.downwardFiles(files, volume.DownwardAPI.Items)
	case volume.Projected != nil:
		for _, source := range volume.Projected.Sources {
			var err error
			switch {
			case source.Secret != nil:
				err = p.secretFiles(files, source.Secret.Name, source.Secret.Items, source.Secret.Optional)
			case source.ConfigMap != nil:
				err = p.configFiles(files, source.ConfigMap.Name, source.ConfigMap.Items, source.ConfigMap.Optional)
			case source.DownwardAPI != nil:
				err = p.downwardFiles(files, source.DownwardAPI.Items)
			default:
				err = fmt.Errorf("projected source not done")
			}
			if err != nil {
				return nil, err
			}
		}
		return files, nil
	}
	return nil, fmt.Errorf("kind not done")
}

func (p *Pod) secretFiles(files map[string][]byte, name string, items []corev1.KeyToPath, optional *bool) error {
	data, err := p.objects.Secret(p.pod.Namespace, name)
	if err != nil {
		if optional != nil && *optional {
			return nil
		}
		return err
	}
	pick(files, data, items)
	return nil
}

func (p *Pod) configFiles(files map[string][]byte, name string, items []corev1.KeyToPath, optional *bool) error {
	data, err := p.objects.ConfigMap(p.pod.Namespace, name)
	if err != nil {
		if optional != nil && *optional {
			return nil
		}
		return err
	}
	bytes := map[string][]byte{}
	for key, value := range data {
		bytes[key] = []byte(value)
	}
	pick(files, bytes, items)
	return nil
}

func pick(files, data map[string][]byte, items []corev1.KeyToPath) {
	if items == nil {
		for key, value := range data {
			files[key] = value
		}
	}
	for _, item := range items {
		if value, ok := data[item.Key]; ok {
			files[item.Path] = value
		}
	}
}

func (p *Pod) downwardFiles(files map[string][]byte, items []corev1.DownwardAPIVolumeFile) error {
	for _, item := range items {
		if item.FieldRef == nil {
			return fmt.Errorf("downward file %s not done", item.Path)
		}
		value, err := field(p.pod, item.FieldRef.FieldPath)
		if err != nil {
			return err
		}
		files[item.Path] = []byte(value)
	}
	return nil
}

// mounts is podman's options for a container's volume mounts.
func (p *Pod) mounts(container *corev1.Container) ([]string, error) {
	var options []string
	for _, mount := range container.VolumeMounts {
		source, ok := p.volumes[mount.Name]
		if !ok {
			return nil, fmt.Errorf("no volume %q", mount.Name)
		}
		if mount.SubPath != "" {
			source = filepath.Join(source, mount.SubPath)
			if err := os.MkdirAll(source, 0o777); err != nil {
				return nil, err
			}
			if err := p.own(source, 0o777); err != nil {
				return nil, err
			}
		}
		// "exec" and the like are podman's defaults for a bind mount; ":ro" is all that can differ.
		option := source + ":" + mount.MountPath
		if mount.ReadOnly {
			option += ":ro"
		}
		options = append(options, "--volume", option)
	}
	return options, nil
}

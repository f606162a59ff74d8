package podrun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What a kubelet keeps of a container's last words, and of those of all containers of a Pod.
const (
	maxTerminationMessage = 4096
	maxTerminationShare   = 12 << 10
)

// Pod is a Pod that was started.
type Pod struct {
	host      *Host
	objects   Objects
	directory string
	name      string // prefix of its containers' names in podman
	volumes   map[string]string
	done      chan struct{}

	mutex      sync.Mutex
	pod        *corev1.Pod
	containers map[string]*state
	failure    string // why nothing could be run
	stopping   bool
}

type state struct {
	status corev1.ContainerStatus
	log    containerLog
	name   string // in podman
}

var started atomic.Int64

// Start makes the volumes and begins with the init containers.
func Start(ctx context.Context, host *Host, pod *corev1.Pod, objects Objects) (*Pod, error) {
	name := fmt.Sprintf("slipway-pod-%d-%d", os.Getpid(), started.Add(1))
	p := &Pod{host: host, objects: objects, pod: pod.DeepCopy(), name: name, directory: filepath.Join(host.Directory, name),
		done: make(chan struct{}), containers: map[string]*state{}}
	for _, container := range all(pod) {
		p.containers[container.Name] = &state{name: name + "-" + container.Name, status: corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, ImageID: p.host.image(container.Image),
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}}}
	}
	if err := p.makeVolumes(); err != nil {
		return nil, err
	}
	go p.run(ctx)
	return p, nil
}

func all(pod *corev1.Pod) []corev1.Container {
	return append(append([]corev1.Container{}, pod.Spec.InitContainers...), pod.Spec.Containers...)
}

func (p *Pod) run(ctx context.Context) {
	defer close(p.done)
	for i := range p.pod.Spec.InitContainers {
		if p.container(ctx, &p.pod.Spec.InitContainers[i]) != 0 {
			return
		}
	}
	var group sync.WaitGroup
	for i := range p.pod.Spec.Containers {
		group.Add(1)
		go func() {
			defer group.Done()
			p.container(ctx, &p.pod.Spec.Containers[i])
		}()
	}
	group.Wait()
}

// container runs one to its end.
func (p *Pod) container(ctx context.Context, container *corev1.Container) int {
	state := p.containers[container.Name]
	arguments, message, err := p.arguments(ctx, container)
	if err != nil {
		p.set(state, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
			Reason: "CreateContainerConfigError", Message: err.Error()}})
		p.mutex.Lock()
		p.failure = err.Error()
		p.mutex.Unlock()
		return -1
	}
	command := exec.CommandContext(ctx, "podman", arguments...)
	writer := &logWriter{pod: p, state: state}
	command.Stdout, command.Stderr = writer, writer
	begin := metav1.Now()
	p.set(state, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: begin}})
	err = command.Run()
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		code = 128
	}
	words, _ := os.ReadFile(message)
	words = words[:min(len(words), maxTerminationMessage, maxTerminationShare/len(p.containers))]
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	p.set(state, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: int32(code), Reason: reason,
		Message: string(words), StartedAt: begin, FinishedAt: metav1.Now(), ContainerID: "podman://" + state.name}})
	return code
}

func (p *Pod) arguments(ctx context.Context, container *corev1.Container) ([]string, string, error) {
	security, err := p.host.security(ctx, p.pod, container)
	if err != nil {
		return nil, "", err
	}
	mounts, err := p.mounts(container)
	if err != nil {
		return nil, "", err
	}
	variables, known, err := environment(p.pod, container, p.objects)
	if err != nil {
		return nil, "", err
	}
	message := filepath.Join(p.directory, "termination-"+container.Name)
	if err := os.WriteFile(message, nil, 0o666); err != nil {
		return nil, "", err
	}
	if err := os.Chmod(message, 0o666); err != nil { // whatever the umask is
		return nil, "", err
	}
	target := container.TerminationMessagePath
	if target == "" {
		target = corev1.TerminationMessagePathDefault
	}
	arguments := []string{"run", "--name", p.containers[container.Name].name, "--network", "host", "--log-driver", "none",
		"--sig-proxy=false", "--pull", "never", "--volume", message + ":" + target,
		// As a kubelet labels them, so that they are found from outside.
		"--label", "io.kubernetes.pod.name=" + p.pod.Name, "--label", "io.kubernetes.container.name=" + container.Name}
	arguments = append(append(append(arguments, p.host.RunOptions...), security...), mounts...)
	for _, variable := range variables {
		arguments = append(arguments, "--env", variable)
	}
	if container.WorkingDir != "" {
		arguments = append(arguments, "--workdir", Expand(container.WorkingDir, known))
	}
	if len(container.Command) > 0 {
		arguments = append(arguments, "--entrypoint", asJSON(expandAll(container.Command, known)))
	}
	arguments = append(arguments, p.host.image(container.Image))
	return append(arguments, expandAll(container.Args, known)...), message, nil
}

func (p *Pod) set(state *state, to corev1.ContainerState) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	state.status.State = to
	state.status.Ready = to.Running != nil
	running := to.Running != nil
	state.status.Started = &running
	if to.Terminated != nil {
		state.log.end()
	}
}

// Status is what a kubelet would say of the Pod now.
func (p *Pod) Status() corev1.PodStatus {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	status := corev1.PodStatus{Phase: corev1.PodPending, HostIP: "127.0.0.1", PodIP: "127.0.0.1"}
	failed, ended := false, 0
	collect := func(containers []corev1.Container, into *[]corev1.ContainerStatus) {
		for _, container := range containers {
			one := p.containers[container.Name].status
			*into = append(*into, one)
			if one.State.Running != nil || one.State.Terminated != nil {
				status.Phase = corev1.PodRunning
			}
			if end := one.State.Terminated; end != nil {
				ended++
				failed = failed || end.ExitCode != 0
			}
		}
	}
	collect(p.pod.Spec.InitContainers, &status.InitContainerStatuses)
	if status.Phase == corev1.PodRunning {
		status.Phase = corev1.PodPending // until they are through
	}
	collect(p.pod.Spec.Containers, &status.ContainerStatuses)
	select {
	case <-p.done:
		if p.failure == "" {
			status.Phase = corev1.PodSucceeded
			if failed || ended < len(p.containers) {
				status.Phase = corev1.PodFailed
			}
		}
	default:
	}
	return status
}

// Refresh takes over the Pod's metadata, and with it what downward API volumes hold.
func (p *Pod) Refresh(pod *corev1.Pod) error {
	p.mutex.Lock()
	p.pod.Annotations, p.pod.Labels = pod.Annotations, pod.Labels
	p.mutex.Unlock()
	for _, volume := range p.pod.Spec.Volumes {
		if volume.DownwardAPI == nil && volume.Projected == nil {
			continue
		}
		files, err := p.files(&volume)
		if err != nil {
			return err
		}
		for name, content := range files {
			if err := p.put(filepath.Join(p.volumes[volume.Name], name), content); err != nil {
				return err
			}
		}
	}
	return nil
}

// Stop is what deleting the Pod does: TERM to every container's first process, KILL after the grace period.
func (p *Pod) Stop(grace time.Duration) {
	var group sync.WaitGroup
	for _, name := range p.running() {
		group.Add(1)
		go func() {
			defer group.Done()
			exec.Command("podman", "stop", "--time", fmt.Sprint(int(grace.Seconds())), name).Run()
		}()
	}
	group.Wait()
}

// Signal sends one to a container's first process.
func (p *Pod) Signal(container, signal string) error {
	_, err := podman(context.Background(), "kill", "--signal", signal, p.containers[container].name)
	return err
}

// Exec runs a command in a container that runs.
func (p *Pod) Exec(container string, command ...string) (string, error) {
	return podman(context.Background(), append([]string{"exec", p.containers[container].name}, command...)...)
}

func (p *Pod) running() []string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	var names []string
	for _, state := range p.containers {
		if state.status.State.Running != nil {
			names = append(names, state.name)
		}
	}
	return names
}

// Done is closed when every container has ended, or one could not be started.
func (p *Pod) Done() <-chan struct{} { return p.done }

// Volume is the directory on the machine that stands for a volume.
func (p *Pod) Volume(name string) string { return p.volumes[name] }

// Remove takes the containers and volumes away. Claims stay.
func (p *Pod) Remove() error {
	var names []string
	for _, state := range p.containers {
		names = append(names, state.name)
	}
	var err error
	for range 5 {
		// A container with a user namespace may be busy for a moment after its end.
		if _, err = podman(context.Background(), append([]string{"rm", "--force", "--ignore", "--time", "2"}, names...)...); err == nil {
			break
		}
		time.Sleep(time.Second)
	}
	return errors.Join(err, os.RemoveAll(p.directory))
}

// String names the Pod in messages.
func (p *Pod) String() string { return strings.Join([]string{p.pod.Namespace, p.pod.Name}, "/") }

// The conformance harness: Slipway's Tasks through Tekton's own code and its real entrypoint (docs/tekton.md).
//
// hack/test runs it with: SLIPWAY_IMAGE, SLIPWAY_TEST_IMAGE, SLIPWAY_BASE_IMAGE, TEKTON_ENTRYPOINT_IMAGE (an image with
// /ko-app/entrypoint), SLIPWAY_PODMAN_OPTIONS (what every podman run needs here).
package tekton

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"sigs.k8s.io/yaml"

	"slipway.dev/tests/tekton/control"
	"slipway.dev/tests/tekton/podrun"
)

const limit = 5 * time.Minute

var (
	top, _ = filepath.Abs("../..")
	host   *podrun.Host
)

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func TestMain(m *testing.M) {
	// In memory where there is some: volumes are what a build is slow on.
	directory, err := os.MkdirTemp(setting("SLIPWAY_VOLUMES", "/dev/shm"), "slipway-tekton-")
	if err != nil {
		panic(err)
	}
	host = &podrun.Host{
		RunOptions:      strings.Fields(os.Getenv("SLIPWAY_PODMAN_OPTIONS")),
		Directory:       directory,
		SeccompProfiles: filepath.Join(top, "deploy/seccomp"),
		SubordinateIDs:  1 << 20,
		Images: map[string]string{control.EntrypointImage: setting("TEKTON_ENTRYPOINT_IMAGE", "localhost/slipway-tekton-entrypoint:dev"),
			publishedImage(): setting("SLIPWAY_IMAGE", "localhost/slipway:dev")},
	}
	if err := os.Chmod(directory, 0o755); err != nil {
		panic(err)
	}
	code := m.Run()
	stopServers()
	os.RemoveAll(directory)
	os.Exit(code)
}

// publishedImage is the image the Tasks name.
func publishedImage() string {
	objects, err := control.Load(context.Background(), filepath.Join(top, "tasks/slipway.yaml"))
	if err != nil {
		panic(err)
	}
	return objects[0].(*v1.Task).Spec.Steps[0].Image
}

// tasks is everything `kubectl apply -k tasks` would create.
func tasks(t *testing.T) []any {
	t.Helper()
	var objects []any
	for _, pattern := range []string{"tasks/slipway*.yaml", "tasks/stepactions/*.yaml"} {
		paths, _ := filepath.Glob(filepath.Join(top, pattern))
		for _, path := range paths {
			loaded, err := control.Load(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, loaded...)
		}
	}
	return objects
}

// taskRun reads a TaskRun from text; words in upper case between underscores are the servers' addresses.
func taskRun(t *testing.T, text string) *v1.TaskRun {
	t.Helper()
	run := &v1.TaskRun{}
	if err := yaml.UnmarshalStrict([]byte("apiVersion: tekton.dev/v1\nkind: TaskRun\n"+servers.fill(text)), run); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return run
}

// Servers of tests/servers, in a container beside the Pods.
type Servers struct {
	Git      string `json:"git"`
	Registry string `json:"registry"`
	Base     string
	name     string
}

var (
	servers Servers
	// private is a second set, which lets nobody in without the password of tasks/samples.
	private Servers
)

// Who may use the private ones: the samples' user, and a robot account as Quay names them.
var privateUsers = []string{"someone:not-a-password", "team+robot:not-a-password"}

func (s Servers) fill(text string) string {
	return strings.NewReplacer("_GIT_", s.Git, "_REGISTRY_", s.Registry, "_BASE_", s.Base).Replace(text)
}

func stopServers() {
	for _, each := range []Servers{servers, private} {
		if each.name != "" {
			exec.Command("podman", "rm", "--force", "--time", "2", each.name).Run()
		}
	}
}

const prepare = `set -e
export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@example.com GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@example.com
mkdir -p /srv/git
for tree in /input/*; do
    name=$(basename "$tree"); cp -r "$tree" "/srv/$name"; cd "/srv/$name"
    git init -q -b main .; git add -A; git commit -q -m first; git clone -q --bare . "/srv/git/$name.git"
done
cd /src/tests
exec python3 -B -m servers serve --work /srv/work --git-root /srv/git --registry --lifetime 900 "$@"`

// needServers starts them once, with the repositories of testdata/repositories and a base image in the registry.
func needServers(t *testing.T) {
	t.Helper()
	if servers.name != "" {
		return
	}
	servers = startServers(t, "open")
	servers.Base = servers.Registry + "/base/debian:trixie"
	if out, err := exec.Command("podman", "push", "--quiet", "--tls-verify=false", setting("SLIPWAY_BASE_IMAGE", "localhost/slipway-base:trixie"),
		"docker://"+servers.Base).CombinedOutput(); err != nil {
		t.Fatalf("push the base image: %s", out)
	}
}

// needPrivateServers starts those that ask for a password, once.
func needPrivateServers(t *testing.T) {
	t.Helper()
	if private.name != "" {
		return
	}
	arguments := []string{}
	for _, user := range privateUsers {
		arguments = append(arguments, "--git-user", user, "--registry-user", user)
	}
	private = startServers(t, "private", arguments...)
}

func startServers(t *testing.T, name string, options ...string) Servers {
	t.Helper()
	if testing.Short() {
		t.Skip("short: nothing is run")
	}
	made := Servers{name: fmt.Sprintf("slipway-tekton-servers-%s-%d", name, os.Getpid())}
	arguments := append([]string{"run", "--rm", "--name", made.name, "--security-opt", "label=disable", "--network", "host",
		"--volume", top + ":/src:ro", "--volume", filepath.Join(top, "tests/tekton/testdata/repositories") + ":/input:ro"}, host.RunOptions...)
	arguments = append(arguments, setting("SLIPWAY_TEST_IMAGE", "localhost/slipway-test:dev"), "sh", "-c", prepare, "sh")
	command := exec.Command("podman", append(arguments, options...)...)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	go command.Wait()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "{") {
			if err := json.Unmarshal(lines.Bytes(), &made); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if made.Registry == "" {
		t.Fatal("the servers did not come up")
	}
	return made
}

// commit is where main of a repository stands.
func (s Servers) commit(t *testing.T, repository string) string {
	t.Helper()
	out, err := exec.Command("git", "ls-remote", s.Git+"/"+repository+".git", "refs/heads/main").Output()
	if err != nil || len(out) < 40 {
		t.Fatalf("ls-remote: %v: %s", err, out)
	}
	return string(out[:40])
}

// digest is what the registry has under a tag; "" if nothing.
func digest(t *testing.T, repository, tag string) string {
	t.Helper()
	return servers.digest(t, repository, tag)
}

func (s Servers) digest(t *testing.T, repository, tag string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+s.Registry+"/v2/"+repository+"/manifests/"+tag, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user, password, found := strings.Cut(privateUsers[0], ":"); found && s.name == private.name {
		request.SetBasicAuth(user, password)
	}
	request.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, "+
		"application/vnd.oci.image.index.v1+json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.Header.Get("Docker-Content-Digest")
}

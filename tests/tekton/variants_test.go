package tekton

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"slipway.dev/tests/tekton/control"
	"slipway.dev/tests/tekton/podrun"
)

// variant is every published object with the patches of deploy/variants/NAME, applied as kustomize would.
func variant(t *testing.T, name string) []any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "deploy/variants", name, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var kustomization struct {
		Resources []string
		Patches   []struct {
			Patch  string
			Target struct{ Kind, Name string }
		}
	}
	if err := yaml.Unmarshal(text, &kustomization); err != nil {
		t.Fatal(err)
	}
	if len(kustomization.Patches) != 2 || kustomization.Resources[0] != "../../../tasks" {
		t.Fatalf("%s: %+v", name, kustomization)
	}
	objects := tasks(t)
	for i, object := range objects {
		task, ok := object.(*v1.Task)
		if !ok {
			continue
		}
		for _, each := range kustomization.Patches {
			if each.Target.Kind != "Task" || each.Target.Name != task.Name {
				continue
			}
			patch, err := jsonpatch.DecodePatch([]byte(each.Patch))
			if err != nil {
				t.Fatal(err)
			}
			document, err := json.Marshal(task)
			if err != nil {
				t.Fatal(err)
			}
			if document, err = patch.Apply(document); err != nil {
				t.Fatal(err)
			}
			if objects[i], err = control.Decode(t.Context(), document); err != nil {
				t.Fatal(err)
			}
		}
	}
	return objects
}

func TestVariantsReplaceTheBuildsSecurityContextAndNothingElse(t *testing.T) {
	plain := find[*v1.Task](t, "slipway")
	for _, name := range []string{"userns-sys-admin", "rootless", "restricted"} {
		for _, object := range variant(t, name) {
			task, ok := object.(*v1.Task)
			if !ok || task.Name != "slipway" {
				continue
			}
			for i, step := range task.Spec.Steps {
				before, _ := json.Marshal(plain.Spec.Steps[i].SecurityContext)
				after, _ := json.Marshal(step.SecurityContext)
				if changed := string(before) != string(after); changed != (step.Name == "build") {
					t.Errorf("%s: %s is %s", name, step.Name, after)
				}
			}
		}
	}
}

// containerd is a machine whose RuntimeDefault is containerd's, made from its own module (tests/profiles). The profile depends
// on the container's capabilities, each step has its own.
func containerd(t *testing.T) *podrun.Host {
	t.Helper()
	program := filepath.Join(t.TempDir(), "profiles")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir, build.Env = filepath.Join(top, "tests/profiles"), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("the module of containerd cannot be had: %s", out)
	}
	directory := t.TempDir()
	return &podrun.Host{RunOptions: host.RunOptions, Directory: host.Directory, SeccompProfiles: host.SeccompProfiles, Images: host.Images,
		SubordinateIDs: host.SubordinateIDs,
		RuntimeDefault: func(capabilities []corev1.Capability) (string, error) {
			arguments := []string{"containerd"}
			for _, capability := range capabilities {
				arguments = append(arguments, "CAP_"+string(capability))
			}
			profile, err := exec.Command(program, arguments...).Output()
			if err != nil {
				return "", err
			}
			path := filepath.Join(directory, strings.Join(arguments, "-")+".json")
			return path, os.WriteFile(path, profile, 0o644)
		}}
}

func TestVariantsBuild(t *testing.T) {
	needServers(t)
	for name, test := range map[string]struct {
		host        *podrun.Host
		task, podIs string
	}{
		"rootless": {host, "slipway", "{}"},
		// Recipe G as its comment says: hostUsers: false, under the profile that refuses all other recipes.
		"userns-sys-admin": {containerd(t), "slipway", "{hostUsers: false}"},
		// Recipe C in one step; in four it is a sample.
		"restricted": {containerd(t), "slipway-run", "{securityContext: {runAsNonRoot: true, runAsUser: 1000650000, fsGroup: 1000650000}}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := control.New(t, test.host, variant(t, name)...).Run(taskRun(t, fmt.Sprintf(`
metadata: {name: %s}
spec:
  taskRef: {name: %s}
  podTemplate: %s
  params:
    - {name: url, value: _GIT_/project.git}
    - {name: IMAGE, value: "_REGISTRY_/team/%[1]s:v1"}
    - {name: TLSVERIFY, value: "false"}
    - {name: BUILD_ARGS, value: ["BASE=_BASE_"]}
`, name, test.task, test.podIs)), limit)
			succeeded(t, done, "team/"+name, "v1")
		})
	}
}

// Without the capability that recipe G adds, the same Pod is refused by the same profile: the profile counts.
func TestContainerdsProfileRefusesTheOtherRecipes(t *testing.T) {
	needServers(t)
	t.Parallel()
	objects := variant(t, "userns-sys-admin")
	for _, object := range objects {
		if task, ok := object.(*v1.Task); ok && task.Name == "slipway" {
			task.Spec.Steps[2].SecurityContext.Capabilities.Add = []corev1.Capability{"SETUID", "SETGID", "SETFCAP", "SYS_CHROOT"}
		}
	}
	done := control.New(t, containerd(t), objects...).Run(small(t, "refused", "", "  podTemplate: {hostUsers: false}\n"), limit)
	if done.Succeeded() || done.Result("error-reason") != "podforbids" {
		t.Error(done.Story())
	}
}

// The two platforms need no foreign code to run: nothing is RUN.
func TestThePipelineBuildsPlatformsAndJoinsThem(t *testing.T) {
	needServers(t)
	t.Parallel()
	loaded, err := control.Load(t.Context(), filepath.Join(top, "tasks/samples/platforms.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	run := loaded[0].(*v1.PipelineRun)
	run.Spec.Params = sample{}.mine(t, run.Spec.Params)
	plane := control.New(t, host, tasks(t)...)
	tasks := plane.RunPipeline(run, limit)
	if len(tasks["build"]) != 2 || len(tasks["index"]) != 1 {
		t.Fatalf("%d builds, %d indexes", len(tasks["build"]), len(tasks["index"]))
	}
	wanted := map[string]bool{}
	for _, build := range tasks["build"] {
		tag := "all-" + build.TaskRun.Name
		succeeded(t, build, "team/project", tag)
		wanted[build.Result("IMAGE_REF")] = true
	}
	for _, param := range tasks["index"][0].TaskRun.Spec.Params {
		if param.Name != "IMAGES" {
			continue
		}
		for _, image := range param.Value.ArrayVal {
			delete(wanted, image)
		}
	}
	if len(wanted) > 0 {
		t.Errorf("the index is made without %v", wanted)
	}
	succeeded(t, tasks["index"][0], "team/project", "all")
}

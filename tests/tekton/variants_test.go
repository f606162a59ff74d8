package tekton

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"sigs.k8s.io/yaml"

	"slipway.dev/tests/tekton/control"
)

// variant is every published object with the patches of tasks/variants/NAME, applied as kustomize would.
func variant(t *testing.T, name string) []any {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "tasks/variants", name, "kustomization.yaml"))
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
	if len(kustomization.Patches) != 2 || kustomization.Resources[0] != "../.." {
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

func TestTheRootlessVariantBuilds(t *testing.T) {
	needServers(t)
	t.Parallel()
	done := control.New(t, host, variant(t, "rootless")...).Run(taskRun(t, `
metadata: {name: rootless}
spec:
  taskRef: {name: slipway}
  params:
    - {name: url, value: _GIT_/project.git}
    - {name: IMAGE, value: "_REGISTRY_/team/rootless:v1"}
    - {name: TLSVERIFY, value: "false"}
    - {name: BUILD_ARGS, value: ["BASE=_BASE_"]}
`), limit)
	succeeded(t, done, "team/rootless", "v1")
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

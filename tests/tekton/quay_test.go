package tekton

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"slipway.dev/tests/tekton/control"
	"slipway.dev/tests/tekton/podrun"
)

// quayBuild is a file of quay/tests/manifests: what the executor for Quay makes of a build.
type quayBuild struct {
	Texts   map[string]string // option -> what its step has to get
	Secrets []string          // what must be nowhere but in the Secret
	TaskRun json.RawMessage
	Secret  json.RawMessage
}

// The option's value as the step gets it: from its arguments, else, as for every empty option, from the environment.
func value(container corev1.Container, secret *corev1.Secret, option string) (string, bool) {
	known := map[string]string{"HOME": "expanded"}
	for _, variable := range container.Env {
		known[variable.Name] = variable.Value
		if from := variable.ValueFrom; from != nil && from.SecretKeyRef != nil {
			known[variable.Name] = string(secret.Data[from.SecretKeyRef.Key])
		}
	}
	for _, argument := range container.Args {
		if text, is := strings.CutPrefix(podrun.Expand(argument, known), "--"+option+"="); is {
			if text == "" {
				text = known["SLIPWAY_"+strings.ToUpper(option)]
			}
			return text, true
		}
	}
	return "", false
}

// load reads a file of quay/tests/manifests, strictly.
func (b *quayBuild) load(t *testing.T, file string) (*v1.TaskRun, *corev1.Secret, *corev1.ServiceAccount) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, b); err != nil {
		t.Fatal(err)
	}
	run, secret := &v1.TaskRun{}, &corev1.Secret{}
	if err := yaml.UnmarshalStrict(b.TaskRun, run); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(b.Secret, secret); err != nil {
		t.Fatal(err)
	}
	secret.Namespace = control.Namespace
	return run, secret, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: run.Spec.ServiceAccountName, Namespace: control.Namespace}}
}

func TestBuildsOfQuayAreValidAndTheirTextReachesTheStepsAsItIs(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(top, "quay/tests/manifests/*.json"))
	if len(files) == 0 {
		t.Fatal("no manifests")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			var build quayBuild
			run, secret, account := build.load(t, file)
			pod, err := control.New(t, host, append(tasks(t), secret, account)...).Pod(run)
			if err != nil {
				t.Fatal(err)
			}
			whole, err := json.Marshal(pod)
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range build.Secrets {
				if strings.Contains(string(whole), word) {
					t.Errorf("%s is in the Pod", word)
				}
			}
			if token := pod.Spec.AutomountServiceAccountToken; token == nil || *token {
				t.Error("a token of the service account is mounted")
			}
			for option, expected := range build.Texts {
				step := "step-fetch"
				if option == "context" || option == "dockerfile" {
					step = "step-resolve"
				}
				index := slices.IndexFunc(pod.Spec.Containers, func(each corev1.Container) bool { return each.Name == step })
				if got, found := value(pod.Spec.Containers[index], secret, option); !found || got != expected {
					t.Errorf("--%s is %q and not %q", option, got, expected)
				}
			}
		})
	}
}

// The same for real: only the addresses are others.
func TestABuildOfQuayRunsAndPushes(t *testing.T) {
	needServers(t)
	t.Parallel()
	var build quayBuild
	run, secret, account := build.load(t, filepath.Join(top, "quay/tests/manifests/git.json"))
	changed := map[string]string{"url": servers.Git + "/project.git", "revision": "main", "IMAGE": servers.Registry + "/team/quay:latest"}
	for index, param := range run.Spec.Params {
		if text, is := changed[param.Name]; is {
			run.Spec.Params[index].Value = *v1.NewStructuredValues(text)
		}
	}
	run.Spec.Params = append(run.Spec.Params, v1.Param{Name: "TLSVERIFY", Value: *v1.NewStructuredValues("false")},
		v1.Param{Name: "BUILD_ARGS", Value: v1.ParamValue{Type: v1.ParamTypeArray, ArrayVal: []string{"BASE=" + servers.Base}}})
	// The manifest's key is none, and this server asks for none.
	run.Spec.Workspaces = slices.DeleteFunc(run.Spec.Workspaces, func(each v1.WorkspaceBinding) bool { return each.Name == "ssh-directory" })
	done := control.New(t, host, append(tasks(t), secret, account)...).Run(run, limit)
	succeeded(t, done, "team/quay", "latest")
	if digest(t, "team/quay", "v1.2") != done.Result("IMAGE_DIGEST") {
		t.Error("the further tag is missing")
	}
	for _, step := range []string{"fetch", "resolve", "build", "push"} {
		log := done.Ran.Log("step-" + step)
		if !strings.Contains(log, `"build_id":"`+string(done.TaskRun.UID)+`"`) {
			t.Errorf("the frames of %s do not name the TaskRun's uid, which a follower goes by", step)
		}
		for _, word := range build.Secrets {
			if strings.Contains(log, word) {
				t.Errorf("%s is in the log of %s", word, step)
			}
		}
	}
}

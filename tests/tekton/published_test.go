package tekton

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"

	"slipway.dev/tests/tekton/control"
)

// documents is every YAML file below tasks/ that holds Tekton's objects, by path.
func documents(t *testing.T) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, pattern := range []string{"*.yaml", "stepactions/*.yaml", "samples/*.yaml"} {
		paths, _ := filepath.Glob(filepath.Join(top, "tasks", pattern))
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			name, _ := filepath.Rel(filepath.Join(top, "tasks"), path)
			if name != "kustomization.yaml" {
				found[name] = text
			}
		}
	}
	if len(found) < 10 {
		t.Fatalf("only %d documents", len(found))
	}
	return found
}

func TestEveryDocumentIsValidByTektonsWebhook(t *testing.T) {
	for name := range documents(t) {
		t.Run(name, func(t *testing.T) {
			if _, err := control.Load(t.Context(), filepath.Join(top, "tasks", name)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAMistakeIsSeen(t *testing.T) {
	text := string(documents(t)["slipway.yaml"])
	for i, wrong := range []string{
		strings.Replace(text, "  steps:", "  stepz:", 1),
		strings.Replace(text, "$(params.DOCKERFILE)", "$(params.DOCKERFIL)", 1),
		strings.Replace(text, "mountPath: /slipway/state", "mountPath: /tekton/state", 1),
	} {
		if wrong == text {
			t.Fatal("nothing was changed")
		}
		if _, err := control.Decode(t.Context(), []byte(wrong)); err == nil {
			t.Errorf("wrong Task %d was taken", i)
		}
	}
}

func module(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tektoncd/pipeline").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestEveryDocumentFitsTheCustomResourceDefinitions holds them against the schemas a cluster's API server has.
func TestEveryDocumentFitsTheCustomResourceDefinitions(t *testing.T) {
	schemas := map[string]*spec.Schema{}
	paths, _ := filepath.Glob(filepath.Join(module(t), "config/300-crds/*.yaml"))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var definition struct {
			Spec struct {
				Group    string
				Names    struct{ Kind string }
				Versions []struct {
					Name   string
					Schema struct {
						OpenAPIV3Schema json.RawMessage `json:"openAPIV3Schema"`
					}
				}
			}
		}
		if err := yaml.Unmarshal(text, &definition); err != nil {
			t.Fatal(err)
		}
		for _, version := range definition.Spec.Versions {
			schema := &spec.Schema{}
			if err := json.Unmarshal(version.Schema.OpenAPIV3Schema, schema); err != nil {
				t.Fatal(err)
			}
			schemas[definition.Spec.Group+"/"+version.Name+" "+definition.Spec.Names.Kind] = schema
		}
	}
	checked := 0
	for name, text := range documents(t) {
		for _, document := range strings.Split(string(text), "\n---\n") {
			var object map[string]any
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				t.Fatal(err)
			}
			schema := schemas[fmt.Sprintf("%v %v", object["apiVersion"], object["kind"])]
			if schema == nil {
				continue
			}
			checked++
			if result := validate.NewSchemaValidator(schema, nil, "", strfmt.Default).Validate(object); !result.IsValid() {
				t.Errorf("%s: %v", name, result.Errors)
			}
		}
	}
	if checked < 10 {
		t.Errorf("only %d were checked", checked)
	}
}

var (
	categories = []string{"Image Build", "Git", "Security", "Testing", "Build Tools", "CLI", "Deployment", "Publishing"}
	semver     = regexp.MustCompile(`^\d+\.\d+\.\d+$`)
	platform   = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9]+$`)
	tagged     = regexp.MustCompile(`^[a-z0-9.-]+/[a-z0-9/_-]+(:[A-Za-z0-9._-]+|@sha256:[0-9a-f]{64})$`)
	whole      = regexp.MustCompile(`^--[a-z-]+=\$\(params\.[A-Za-z_]+\)$`)
	array      = regexp.MustCompile(`^\$\(params\.[A-Za-z_]+\[\*\]\)$`)
)

// step is what Tasks' steps and StepActions have in common.
type step struct {
	owner, name, image, script, workingDir string
	command, args                          []string
	env                                    []corev1.EnvVar
	security                               *corev1.SecurityContext
}

func steps(t *testing.T) []step {
	t.Helper()
	var found []step
	for _, object := range tasks(t) {
		switch object := object.(type) {
		case *v1.Task:
			for _, s := range object.Spec.Steps {
				found = append(found, step{object.Name, s.Name, s.Image, s.Script, s.WorkingDir, s.Command, s.Args, s.Env, s.SecurityContext})
			}
		case *v1beta1.StepAction:
			s := object.Spec
			found = append(found, step{"StepAction " + object.Name, strings.TrimPrefix(object.Name, "slipway-"), s.Image, s.Script, s.WorkingDir,
				s.Command, s.Args, s.Env, s.SecurityContext})
		}
	}
	return found
}

// TestTheCatalogsRules are those of catlin, without its network.
func TestTheCatalogsRules(t *testing.T) {
	for name, text := range documents(t) {
		if strings.HasPrefix(name, "samples/") {
			continue
		}
		var object struct {
			Metadata struct {
				Name                string
				Labels, Annotations map[string]string
			}
			Spec struct{ Description string }
		}
		if err := yaml.Unmarshal(text, &object); err != nil {
			t.Fatal(err)
		}
		meta := object.Metadata
		check := func(ok bool, what string) {
			if !ok {
				t.Errorf("%s: %s", name, what)
			}
		}
		check(filepath.Base(name) == meta.Name+".yaml", "file and name differ")
		check(semver.MatchString(meta.Labels["app.kubernetes.io/version"]), "no version")
		check(meta.Annotations["tekton.dev/pipelines.minVersion"] != "", "no minVersion")
		check(meta.Annotations["tekton.dev/displayName"] != "", "no displayName")
		check(meta.Annotations["tekton.dev/tags"] != "", "no tags")
		check(object.Spec.Description != "", "no description")
		for _, category := range strings.Split(meta.Annotations["tekton.dev/categories"], ",") {
			check(slices.Contains(categories, strings.TrimSpace(category)), "category "+category)
		}
		for _, one := range strings.Split(meta.Annotations["tekton.dev/platforms"], ",") {
			check(platform.MatchString(strings.TrimSpace(one)), "platform "+one)
		}
	}
	for _, s := range steps(t) {
		if !tagged.MatchString(s.image) || strings.HasSuffix(s.image, ":latest") {
			t.Errorf("%s %s: image %s", s.owner, s.name, s.image)
		}
	}
}

// TestNoValueIsEverPartOfAProgram holds the steps to how values may be passed.
func TestNoValueIsEverPartOfAProgram(t *testing.T) {
	proxies := map[string]bool{"HTTP_PROXY": true, "HTTPS_PROXY": true, "NO_PROXY": true}
	for _, s := range steps(t) {
		where := s.owner + " " + s.name
		if s.script != "" || s.workingDir != "" || len(s.command) != 1 || s.command[0] != "/usr/bin/slipway" {
			t.Errorf("%s: script, workingDir or another command", where)
		}
		lists, separators, arrays := "", 0, 0
		for _, argument := range s.args {
			if names, ok := strings.CutPrefix(argument, "--lists="); ok {
				lists = names
				continue
			}
			switch {
			case lists != "" && argument == "--":
				separators++
			case lists != "":
				arrays++
				if !array.MatchString(argument) {
					t.Errorf("%s: %q is among the lists", where, argument)
				}
			case strings.Contains(argument, "$(params.") && !whole.MatchString(argument):
				t.Errorf("%s: %q mixes a value with something", where, argument)
			}
		}
		if lists != "" && (arrays != len(strings.Split(lists, ",")) || separators != arrays-1) {
			t.Errorf("%s: %d arrays for --lists=%s", where, arrays, lists)
		}
		for _, variable := range s.env {
			if !proxies[variable.Name] {
				t.Errorf("%s: variable %s", where, variable.Name)
			}
		}
	}
}

// TestResultsComeFromStepsThatWriteThem: Tekton itself takes a result of a step that is not there, and leaves it empty.
func TestResultsComeFromStepsThatWriteThem(t *testing.T) {
	reference := regexp.MustCompile(`^\$\(steps\.([a-z]+)\.results\.([A-Za-z_-]+)\)$`)
	for _, object := range tasks(t) {
		task, ok := object.(*v1.Task)
		if !ok {
			continue
		}
		written := map[string]bool{}
		for _, s := range task.Spec.Steps {
			for _, result := range s.Results {
				written[s.Name+"/"+result.Name] = slices.Contains(s.Args, fmt.Sprintf("--result=%[1]s=$(step.results.%[1]s.path)", result.Name))
			}
			for _, result := range task.Spec.Results {
				if slices.Contains(s.Args, fmt.Sprintf("--result=%[1]s=$(results.%[1]s.path)", result.Name)) {
					written[result.Name] = true
				}
			}
		}
		for _, result := range task.Spec.Results {
			from := result.Name
			if result.Value != nil {
				found := reference.FindStringSubmatch(result.Value.StringVal)
				if found == nil || found[2] != result.Name {
					t.Fatalf("%s: %s is %q", task.Name, result.Name, result.Value.StringVal)
				}
				from = found[1] + "/" + found[2]
			}
			if !written[from] {
				t.Errorf("%s: nobody writes %s", task.Name, from)
			}
		}
	}
}

// TestOnlyTheBuildHasARecipe is the restricted Pod Security Standard for every other step.
func TestOnlyTheBuildHasARecipe(t *testing.T) {
	for _, s := range steps(t) {
		of, where := s.security, s.owner+" "+s.name
		if of == nil || of.Privileged != nil || *of.AllowPrivilegeEscalation || !slices.Equal(of.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s: %v", where, of)
			continue
		}
		if s.name == "build" || s.name == "run" {
			if want := []corev1.Capability{"SETUID", "SETGID", "SETFCAP", "SYS_CHROOT"}; !slices.Equal(of.Capabilities.Add, want) {
				t.Errorf("%s: capabilities %v", where, of.Capabilities.Add)
			}
			continue
		}
		if !*of.RunAsNonRoot || of.RunAsUser != nil || !*of.ReadOnlyRootFilesystem || len(of.Capabilities.Add) > 0 ||
			of.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			t.Errorf("%s: %v", where, of)
		}
	}
}

// TestParametersAreASupersetOfTheCatalogs: names that git-clone 0.10 and 1.7.0 and buildah 0.9 have.
func TestParametersAreASupersetOfTheCatalogs(t *testing.T) {
	clone := []string{"url", "revision", "refspec", "submodules", "submodulePaths", "depth", "sslVerify", "crtFileName", "subdirectory",
		"sparseCheckoutDirectories", "deleteExisting", "httpProxy", "httpsProxy", "noProxy", "verbose", "gitInitImage", "userHome",
		"userFriendlyErrors"}
	buildah := []string{"IMAGE", "BUILDER_IMAGE", "STORAGE_DRIVER", "DOCKERFILE", "CONTEXT", "TLSVERIFY", "FORMAT", "BUILD_EXTRA_ARGS",
		"PUSH_EXTRA_ARGS", "SKIP_PUSH", "BUILD_ARGS"}
	both := append(slices.Clone(clone), buildah...)
	for name, wanted := range map[string]struct{ params, results, workspaces []string }{
		"slipway-fetch": {clone, []string{"commit", "url", "committer-date"}, []string{"output", "ssh-directory", "basic-auth", "ssl-ca-directory"}},
		"slipway": {both, []string{"commit", "url", "committer-date", "IMAGE_URL", "IMAGE_DIGEST"},
			[]string{"source", "ssh-directory", "basic-auth", "ssl-ca-directory", "sslcertdir", "dockerconfig"}},
		"slipway-run": {both, []string{"commit", "url", "committer-date", "IMAGE_URL", "IMAGE_DIGEST"},
			[]string{"source", "ssh-directory", "basic-auth", "ssl-ca-directory", "sslcertdir", "dockerconfig"}},
	} {
		task := find[*v1.Task](t, name)
		has := map[string]bool{}
		for _, param := range task.Spec.Params {
			has["param "+param.Name] = true
		}
		for _, result := range task.Spec.Results {
			has["result "+result.Name] = true
		}
		for _, workspace := range task.Spec.Workspaces {
			has["workspace "+workspace.Name] = true
		}
		for kind, names := range map[string][]string{"param ": wanted.params, "result ": wanted.results, "workspace ": wanted.workspaces} {
			for _, each := range names {
				if !has[kind+each] {
					t.Errorf("%s has no %s", name, kind+each)
				}
			}
		}
	}
}

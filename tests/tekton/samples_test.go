package tekton

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"

	"slipway.dev/tests/tekton/control"
)

// sample is what the harness has to know of a file in tasks/samples; most need nothing.
type sample struct {
	private bool   // the registry wants its credentials
	public  bool   // and the git server none
	project bool   // built on a base image, with a RUN
	variant string // which it says it is for
	check   func(*testing.T, []control.Outcome)
}

var samples = map[string]sample{
	"cache": {project: true, check: func(t *testing.T, runs []control.Outcome) {
		for i, cached := range []bool{false, true} {
			if found := strings.Contains(runs[i].Ran.Log("step-build"), `"state":"cached"`); found != cached {
				t.Errorf("build %d took a command from the cache: %v", i+1, found)
			}
		}
	}},
	"hermetic": {project: true, check: func(t *testing.T, runs []control.Outcome) {
		if runs[0].Result("commit") != servers.commit(t, "project") {
			t.Error("another commit was built")
		}
	}},
	"private":        {private: true},
	"quay":           {private: true, public: true},
	"serviceaccount": {private: true},
	"restricted":     {project: true, variant: "restricted"},
}

// at is the servers a sample needs.
func (s sample) at() Servers {
	if s.private {
		return private
	}
	return servers
}

func (s sample) source() Servers {
	if s.public {
		return servers
	}
	return s.at()
}

// ours puts addresses here in place of a sample's.
func (s sample) ours(text string) string {
	return strings.NewReplacer("registry.example.com", s.at().Registry, "quay.io", s.at().Registry, "https://github.com", s.at().Git).Replace(text)
}

// mine makes a sample's parameters those of the servers here, whose registry has no TLS; the rest of the sample stays.
func (s sample) mine(t *testing.T, params v1.Params) v1.Params {
	repository := "small"
	if s.project {
		repository = "project"
		params = append(params, v1.Param{Name: "BUILD_ARGS", Value: v1.ParamValue{Type: v1.ParamTypeArray, ArrayVal: []string{"BASE=" + servers.Base}}})
	}
	pushes, verified := false, false
	for i := range params {
		value := &params[i].Value
		switch params[i].Name {
		case "url":
			value.StringVal = s.source().Git + "/" + repository + ".git"
		case "revision":
			if value.StringVal != "main" {
				value.StringVal = s.source().commit(t, repository)
			}
		case "IMAGE":
			value.StringVal, pushes = s.ours(value.StringVal), true
		case "CACHE_FROM", "CACHE_TO":
			for j := range value.ArrayVal {
				value.ArrayVal[j] = s.ours(value.ArrayVal[j])
			}
		case "TLSVERIFY":
			value.StringVal, verified = "false", true
		}
	}
	if pushes && !verified {
		params = append(params, v1.Param{Name: "TLSVERIFY", Value: *v1.NewStructuredValues("false")})
	}
	return params
}

// TestSamples runs every TaskRun of tasks/samples: validated, made a Pod, run, results held against the registry.
func TestSamples(t *testing.T) {
	needServers(t)
	needPrivateServers(t)
	paths, err := filepath.Glob(filepath.Join(top, "tasks/samples/*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no samples")
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loaded, err := control.Load(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			of, objects := samples[name], tasks(t)
			if of.variant != "" {
				objects = variant(t, of.variant)
			}
			var runs []*v1.TaskRun
			for _, object := range loaded {
				switch object := object.(type) {
				case *v1.TaskRun:
					runs = append(runs, object)
				case *corev1.Secret:
					for key, text := range object.StringData {
						object.StringData[key] = of.ours(text)
					}
					for key, text := range object.Annotations {
						object.Annotations[key] = of.ours(text)
					}
					objects = append(objects, object)
				case *corev1.ServiceAccount:
					objects = append(objects, object)
				}
			}
			if len(runs) == 0 {
				return // a PipelineRun: variants_test.go
			}
			plane := control.New(t, host, objects...)
			var all []control.Outcome
			for _, run := range runs {
				run.Spec.Params = of.mine(t, run.Spec.Params)
				done := plane.Run(run, limit)
				if !done.Succeeded() {
					t.Fatal(done.Story())
				}
				for _, param := range run.Spec.Params {
					if param.Name == "IMAGE" {
						repository, tag, _ := strings.Cut(strings.TrimPrefix(param.Value.StringVal, of.at().Registry+"/"), ":")
						of.at().hold(t, done, repository, tag)
					}
				}
				all = append(all, done)
				t.Logf("%s: validated, Pod built, run, results as in the registry", run.Name)
			}
			if of.check != nil {
				of.check(t, all)
			}
		})
	}
}

// Values as their authors meant them: for the shell, Tekton, the kubelet, the command line.
var hostile = []string{
	`$(id)`, "`id`", `; touch /slipway/state/owned`, `"quoted" 'twice'`, `--image=other/place:v1`, `--`, `--lists=build-arg`,
	`$(HOME)`, `$(NO_SUCH_VARIABLE)`, `a=b=c`, `{"key":"IMAGE_DIGEST","value":"x","type":1}`, "two\nlines", `\\`, `ünïcode`, ` spaces `,
}

func TestValuesReachTheBinaryAsData(t *testing.T) {
	needServers(t)
	t.Parallel()
	run := small(t, "hostile", "", "")
	var arguments []string
	for i, value := range hostile {
		arguments = append(arguments, string(rune('A'+i))+"="+value)
	}
	arguments = append(arguments, "X=one$$two", "Y=$$(HOME)", "Z=$")
	run.Spec.Params = append(run.Spec.Params,
		v1.Param{Name: "BUILD_ARGS", Value: v1.ParamValue{Type: v1.ParamTypeArray, ArrayVal: arguments}},
		v1.Param{Name: "LABELS", Value: v1.ParamValue{Type: v1.ParamTypeArray, ArrayVal: []string{"--storage=vfs", "l=$(id) `id`"}}},
		v1.Param{Name: "revision", Value: *v1.NewStructuredValues("main")})
	done := control.New(t, host, tasks(t)...).Run(run, limit)
	succeeded(t, done, "team/hostile", "v1")
	text, err := os.ReadFile(filepath.Join(done.Ran.Volume("state"), "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	given := planArgs(t, text)
	for i, value := range hostile {
		if got := given[string(rune('A'+i))]; got != value {
			t.Errorf("%q arrived as %q", value, got)
		}
	}
	// The kubelet's own rule, for every container there is: $$ becomes $. BUILD_ARGS_FILE is the way around.
	for name, value := range map[string]string{"X": "one$two", "Y": "$(HOME)", "Z": "$"} {
		if given[name] != value {
			t.Errorf("%s arrived as %q", name, given[name])
		}
	}
	if _, err := os.Stat(filepath.Join(done.Ran.Volume("state"), "owned")); err == nil {
		t.Error("a value was run")
	}
}

func TestEveryTextParameterIsDataToo(t *testing.T) {
	needServers(t)
	task := find[*v1.Task](t, "slipway")
	for _, value := range []string{"$(id)", "; id", "--skip=true", "a b\nc"} {
		var params v1.Params
		for _, param := range task.Spec.Params {
			if param.Type == v1.ParamTypeString && param.Name != "IMAGE" {
				params = append(params, v1.Param{Name: param.Name, Value: *v1.NewStructuredValues(value)})
			}
		}
		params = append(params, v1.Param{Name: "IMAGE", Value: *v1.NewStructuredValues(value)})
		run := small(t, "texts", "", "")
		run.Spec.Params = params
		pod, err := control.New(t, host, tasks(t)...).Pod(run)
		if err != nil {
			t.Fatal(err)
		}
		for _, container := range pod.Spec.Containers {
			at := 0
			for i, argument := range container.Args {
				if argument == "--" {
					at = i + 1
					break
				}
			}
			for _, argument := range container.Args[at+1:] {
				if argument == value || (strings.Contains(argument, value) && !strings.HasPrefix(argument, "--")) {
					t.Errorf("%s: %q stands alone in %q", container.Name, value, argument)
				}
			}
			if container.Args[at-2] != "/usr/bin/slipway" && !strings.Contains(strings.Join(container.Args[:at], " "), "/usr/bin/slipway") {
				t.Errorf("%s runs %v", container.Name, container.Args[:at])
			}
		}
	}
}

func TestBuildahsOptionsAreRefusedWhereTheyWouldBeAShells(t *testing.T) {
	needServers(t)
	t.Parallel()
	for name, value := range map[string]string{"shell": "; touch /slipway/state/owned", "volume": "--volume=/:/host"} {
		done := control.New(t, host, tasks(t)...).Run(small(t, "extra-"+name, "    - {name: BUILD_EXTRA_ARGS, value: \""+value+"\"}\n", ""), limit)
		// Tekton has the reason from the stream alone: an option that is not understood is refused before results are known.
		if done.Succeeded() || !strings.Contains(done.Ran.Log("step-resolve"), "--buildah-args") || done.Step("resolve").Terminated.ExitCode != 2 {
			t.Error(done.Story())
		}
	}
}

// find is one of the published objects.
func find[Kind interface{ GetName() string }](t *testing.T, name string) Kind {
	t.Helper()
	for _, object := range tasks(t) {
		if one, ok := object.(Kind); ok && one.GetName() == name {
			return one
		}
	}
	var none Kind
	t.Fatalf("no %s", name)
	return none
}

// The TaskRuns people have for the catalog's tasks, by these tasks' own parameters and workspaces: the reference is all
// that differs.
func TestTaskRunsForGitCloneAndBuildahWorkWithTheReferenceChanged(t *testing.T) {
	needServers(t)
	t.Parallel()
	secret := func(name string, data map[string]string) *corev1.Secret {
		one := &corev1.Secret{StringData: data}
		one.Name, one.Namespace = name, control.Namespace
		return one
	}
	plane := control.New(t, host, append(tasks(t),
		secret("login", map[string]string{".gitconfig": "[credential]\n\thelper = store\n", ".git-credentials": "https://someone:word@git.example.com\n"}),
		secret("registry", map[string]string{"config.json": `{"auths": {}}`}),
		secret("authority", map[string]string{"ca-bundle.crt": certificate(t)}))...)
	clone := plane.Run(taskRun(t, `
metadata: {name: clone}
spec:
  taskRef: {name: slipway-fetch}
  podTemplate: {securityContext: {fsGroup: 65532}}
  workspaces:
    - {name: output, persistentVolumeClaim: {claimName: shared}}
    - {name: basic-auth, secret: {secretName: login}}
    - {name: ssl-ca-directory, secret: {secretName: authority}}
  params:
    - {name: url, value: _GIT_/small.git}
    - {name: revision, value: main}
    - {name: refspec, value: ""}
    - {name: submodules, value: "true"}
    - {name: submodulePaths, value: ""}
    - {name: depth, value: "1"}
    - {name: sslVerify, value: "true"}
    - {name: crtFileName, value: ca-bundle.crt}
    - {name: subdirectory, value: checkout}
    - {name: sparseCheckoutDirectories, value: ""}
    - {name: deleteExisting, value: "true"}
    - {name: httpProxy, value: ""}
    - {name: httpsProxy, value: ""}
    - {name: noProxy, value: ""}
    - {name: verbose, value: "true"}
    - {name: gitInitImage, value: "ghcr.io/example/git-init:v1"}
    - {name: userHome, value: /home/git}
`), limit)
	if !clone.Succeeded() || len(clone.Result("commit")) != 40 || clone.Result("url") != servers.Git+"/small.git" ||
		clone.Result("committer-date") == "" {
		t.Fatal(clone.Story())
	}
	build := plane.Run(taskRun(t, `
metadata: {name: buildah}
spec:
  taskRef: {name: slipway}
  workspaces:
    - {name: source, persistentVolumeClaim: {claimName: shared}}
    - {name: dockerconfig, secret: {secretName: registry}}
    - {name: sslcertdir, secret: {secretName: authority}}
  params:
    - {name: IMAGE, value: "_REGISTRY_/team/switched:v1"}
    - {name: BUILDER_IMAGE, value: "quay.io/buildah/stable:v1"}
    - {name: STORAGE_DRIVER, value: overlay}
    - {name: DOCKERFILE, value: ./checkout/Dockerfile}
    - {name: CONTEXT, value: ./checkout}
    - {name: TLSVERIFY, value: "false"}
    - {name: FORMAT, value: oci}
    - {name: BUILD_EXTRA_ARGS, value: "--label=extra='a b' --no-cache"}
    - {name: PUSH_EXTRA_ARGS, value: "--retry=1"}
    - {name: SKIP_PUSH, value: "false"}
    - {name: BUILD_ARGS, value: [""]}
`), limit)
	succeeded(t, build, "team/switched", "v1")
	if build.Result("IMAGE_URL") != servers.Registry+"/team/switched:v1" {
		t.Error(build.Story())
	}
}

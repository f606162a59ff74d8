package tekton

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/tests/tekton/control"
	"slipway.dev/tests/tekton/podrun"
)

// The share of the 12 KiB that each of prepare and four steps gets.
const share = 12288 / 5

func succeeded(t *testing.T, done control.Outcome, repository, tag string) {
	t.Helper()
	servers.hold(t, done, repository, tag)
}

// hold fails unless the TaskRun succeeded and these servers' registry has what its results say.
func (s Servers) hold(t *testing.T, done control.Outcome, repository, tag string) {
	t.Helper()
	if !done.Succeeded() {
		t.Fatal(done.Story())
	}
	held := s.digest(t, repository, tag)
	if held == "" || held != done.Result("IMAGE_DIGEST") {
		t.Fatalf("the registry holds %q: %s", held, done.Story())
	}
	for _, status := range done.Ran.Status().ContainerStatuses {
		if size := len(status.State.Terminated.Message); size >= share {
			t.Errorf("%s: a message of %d bytes", status.Name, size)
		}
	}
}

// small is a TaskRun of the Task slipway for the repository small, with more of its spec.
func small(t *testing.T, name, params, more string) *v1.TaskRun {
	t.Helper()
	return taskRun(t, fmt.Sprintf(`
metadata: {name: %s}
spec:
  taskRef: {name: slipway}
  params:
    - {name: url, value: _GIT_/small.git}
    - {name: IMAGE, value: "_REGISTRY_/team/%[1]s:v1"}
    - {name: TLSVERIFY, value: "false"}
%[2]s%[3]s`, name, params, more))
}

func TestTheTaskBuildsOnABaseImageAndPushes(t *testing.T) {
	needServers(t)
	t.Parallel()
	done := control.New(t, host, tasks(t)...).Run(taskRun(t, `
metadata: {name: whole}
spec:
  taskRef: {name: slipway}
  params:
    - {name: url, value: _GIT_/project.git}
    - {name: IMAGE, value: "_REGISTRY_/team/whole:v1"}
    - {name: TLSVERIFY, value: "false"}
    - {name: BUILD_ARGS, value: ["BASE=_BASE_"]}
    - {name: TAGS, value: ["v1.2"]}
`), limit)
	succeeded(t, done, "team/whole", "v1")
	if digest(t, "team/whole", "v1.2") != done.Result("IMAGE_DIGEST") {
		t.Error("the further tag is missing")
	}
	for _, name := range []string{"commit", "url", "committer-date", "CHAINS-GIT_URL", "CHAINS-GIT_COMMIT", "BASE_IMAGES_DIGESTS",
		"IMAGE_URL", "IMAGE_REF", "IMAGES"} {
		if done.Result(name) == "" || strings.HasSuffix(done.Result(name), "\n") {
			t.Errorf("%s is %q", name, done.Result(name))
		}
	}
}

func TestEachStepFailsWithItsReason(t *testing.T) {
	needServers(t)
	for name, test := range map[string]struct{ repository, image, more, step, reason string }{
		"fetch":   {"nowhere", "_REGISTRY_/team/x:v1", "", "fetch", "gitfailure"},
		"resolve": {"empty", "_REGISTRY_/team/x:v1", "", "resolve", "dockerfileissue"},
		"build":   {"broken", "_REGISTRY_/team/x:v1", `    - {name: BUILD_ARGS, value: ["BASE=_BASE_"]}`, "build", "builderror"},
		"push":    {"small", "127.0.0.1:1/team/x:v1", `    - {name: RETRIES, value: "0"}`, "push", "network"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := control.New(t, host, tasks(t)...).Run(taskRun(t, fmt.Sprintf(`
metadata: {name: fails-%s}
spec:
  taskRef: {name: slipway}
  params:
    - {name: url, value: _GIT_/%s.git}
    - {name: IMAGE, value: "%s"}
    - {name: TLSVERIFY, value: "false"}
%s`, name, test.repository, test.image, test.more)), limit)
			if done.Succeeded() {
				t.Fatal(done.Story())
			}
			if done.Result("error-reason") != test.reason || done.Result("error-message") == "" {
				t.Errorf("reason %q: %s", done.Result("error-reason"), done.Story())
			}
			failed := false
			for _, step := range []string{"fetch", "resolve", "build", "push"} {
				end := done.Step(step).Terminated
				switch {
				case step == test.step:
					failed = true
					if end.ExitCode < 2 || end.ExitCode > 125 || !strings.Contains(done.Ran.Log("step-"+step), `"kind":"end"`) {
						t.Errorf("%s ended with %d", step, end.ExitCode)
					}
				case failed && !strings.Contains(done.Ran.Log("step-"+step), "kip") && done.Ran.Log("step-"+step) != "":
					t.Errorf("%s ran: %s", step, done.Ran.Log("step-"+step))
				case !failed && end.ExitCode != 0:
					t.Errorf("%s ended with %d", step, end.ExitCode)
				}
			}
		})
	}
}

// stalled is a server that takes connections and says nothing.
func stalled(t *testing.T) (string, <-chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 10)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			defer connection.Close()
			asked <- struct{}{}
		}
	}()
	return "http://" + listener.Addr().String() + "/x.git", asked
}

func TestAStepTimeoutLeavesNothingRunning(t *testing.T) {
	needServers(t)
	t.Parallel()
	objects := tasks(t)
	for _, object := range objects {
		if task, ok := object.(*v1.Task); ok && task.Name == "slipway" {
			task.Spec.Steps[0].Timeout = &metav1.Duration{Duration: 3 * time.Second}
		}
	}
	url, _ := stalled(t)
	run := small(t, "timeout", "", "")
	run.Spec.Params[0].Value.StringVal = url
	done := control.New(t, host, objects...).Run(run, limit)
	if reason := done.Step("fetch").TerminationReason; done.Succeeded() || reason != "TimeoutExceeded" {
		t.Errorf("reason %q: %s", reason, done.Story())
	}
	if phase := done.Ran.Status().Phase; phase != corev1.PodFailed {
		t.Errorf("the Pod is %s", phase)
	}
}

func TestItsOwnTimeoutStillTellsWhy(t *testing.T) {
	needServers(t)
	t.Parallel()
	objects := tasks(t)
	for _, object := range objects {
		if task, ok := object.(*v1.Task); ok && task.Name == "slipway" {
			task.Spec.Steps[0].Timeout = &metav1.Duration{Duration: time.Minute}
			task.Spec.Steps[0].Args = append(task.Spec.Steps[0].Args, "--timeout=2s")
		}
	}
	url, _ := stalled(t)
	run := small(t, "deadline", "", "")
	run.Spec.Params[0].Value.StringVal = url
	done := control.New(t, host, objects...).Run(run, limit)
	if done.Succeeded() || done.Result("error-reason") != "deadline" {
		t.Error(done.Story())
	}
}

func TestACancelledTaskRunEndsItsStreamWithinTheGracePeriod(t *testing.T) {
	needServers(t)
	t.Parallel()
	plane := control.New(t, host, tasks(t)...)
	url, asked := stalled(t)
	run := small(t, "cancel", "", "")
	run.Spec.Params[0].Value.StringVal = url
	name := plane.Create(run).Name
	waiting := true
	for deadline := time.Now().Add(limit); waiting && time.Now().Before(deadline); {
		select {
		case <-asked:
			waiting = false
		default:
			plane.Tick(name)
			time.Sleep(50 * time.Millisecond)
		}
	}
	ran := plane.Outcome(name).Ran
	plane.Update(name, func(run *v1.TaskRun) { run.Spec.Status = v1.TaskRunSpecStatusCancelled })
	done := plane.Finish(name, limit)
	ran.Stop(30 * time.Second) // deleting the Pod
	<-ran.Done()
	if done.TaskRun.Status.GetCondition("Succeeded").Reason != "TaskRunCancelled" {
		t.Errorf("%v", done.TaskRun.Status.GetCondition("Succeeded"))
	}
	if log := ran.Log("step-fetch"); !strings.Contains(log, `"end":{"status":"cancelled"`) {
		t.Errorf("no end: %s", log)
	}
	for _, status := range ran.Status().ContainerStatuses {
		if status.Name == "step-fetch" && !strings.Contains(status.State.Terminated.Message, `"error-reason","value":"cancelled"`) {
			t.Errorf("message %s", status.State.Terminated.Message)
		}
	}
}

func TestOnErrorContinueKeepsTheResultsOfTheStepThatFailed(t *testing.T) {
	needServers(t)
	t.Parallel()
	objects := tasks(t)
	for _, object := range objects {
		if task, ok := object.(*v1.Task); ok && task.Name == "slipway" {
			task.Spec.Steps[3].OnError = v1.Continue
		}
	}
	run := small(t, "continue", `    - {name: RETRIES, value: "0"}`+"\n", "")
	run.Spec.Params[1].Value.StringVal = "127.0.0.1:1/team/x:v1"
	done := control.New(t, host, objects...).Run(run, limit)
	if !done.Succeeded() || done.Result("error-reason") != "network" || done.Step("push").TerminationReason != "Continued" {
		t.Error(done.Story())
	}
}

func TestResultsPastTheBudgetAreCutAndNotLost(t *testing.T) {
	needServers(t)
	t.Parallel()
	var tags []string
	for i := range 40 {
		tags = append(tags, fmt.Sprintf(`"%s-%d"`, strings.Repeat("long", 25), i))
	}
	done := control.New(t, host, tasks(t)...).Run(small(t, "budget", "    - {name: TAGS, value: ["+strings.Join(tags, ", ")+"]}\n", ""), limit)
	succeeded(t, done, "team/budget", "v1")
	if images := done.Result("IMAGES"); !strings.Contains(images, "team/budget:v1@sha256:") || strings.Count(images, ",") > 38 {
		t.Errorf("IMAGES is %d bytes", len(images))
	}
	if !strings.Contains(done.Ran.Log("step-push"), `"kind":"warning"`) {
		t.Error("nobody was warned")
	}
}

func TestARetryOnTheSameVolumeMeetsNothingOld(t *testing.T) {
	needServers(t)
	t.Parallel()
	plane := control.New(t, host, tasks(t)...)
	workspace := "  podTemplate: {securityContext: {fsGroup: 1000}}\n  workspaces: [{name: source, persistentVolumeClaim: {claimName: kept}}]\n"
	run := small(t, "first", "", workspace)
	run.Spec.Params[0].Value.StringVal = servers.Git + "/empty.git"
	if first := plane.Run(run, limit); first.Succeeded() || first.Result("error-reason") != "dockerfileissue" {
		t.Fatal(first.Story())
	}
	succeeded(t, plane.Run(small(t, "second", "", workspace), limit), "team/second", "v1")
	kept, _ := plane.Claim(control.Namespace, "kept")
	if _, err := os.Stat(filepath.Join(kept, "Dockerfile")); err != nil {
		t.Error(err)
	}
}

func TestStraySignalsChangeNothing(t *testing.T) {
	needServers(t)
	t.Parallel()
	plane := control.New(t, host, tasks(t)...)
	sent := make(chan int, 1)
	plane.Watch = func(ran *podrun.Pod, _ *corev1.Pod) {
		count := 0
		for {
			select {
			case <-ran.Done():
				sent <- count
				return
			case <-time.After(300 * time.Millisecond):
				for _, step := range []string{"step-fetch", "step-resolve", "step-build", "step-push"} {
					for _, signal := range []string{"URG", "WINCH"} {
						if ran.Signal(step, signal) == nil {
							count++
						}
					}
				}
			}
		}
	}
	succeeded(t, plane.Run(small(t, "signals", "", ""), limit), "team/signals", "v1")
	if count := <-sent; count == 0 {
		t.Error("no signal was sent")
	}
}

func TestAnyUserAndNoHomeAndAReadOnlyRootWillDo(t *testing.T) {
	needServers(t)
	t.Parallel()
	done := control.New(t, host, tasks(t)...).Run(small(t, "anyuser", "", `
  podTemplate:
    securityContext: {runAsUser: 1234567, fsGroup: 1234567}
    env: [{name: HOME, value: ""}]
`), limit)
	succeeded(t, done, "team/anyuser", "v1")
	for _, container := range done.Pod.Spec.Containers {
		if container.Name != "step-build" && !*container.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("%s can write its root", container.Name)
		}
	}
}

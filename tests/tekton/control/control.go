// Package control is Tekton's control plane without a cluster: its own validation, its own TaskRun and PipelineRun
// reconcilers over its own fake clients, so that Pods are made and results are read by Tekton's code alone, and
// package podrun in the kubelet's place.
package control

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tektoncd/pipeline/pkg/apis/pipeline"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	_ "github.com/tektoncd/pipeline/pkg/pipelinerunmetrics/fake" // what reconcilers find in their context
	"github.com/tektoncd/pipeline/pkg/reconciler/pipelinerun"
	"github.com/tektoncd/pipeline/pkg/reconciler/taskrun"
	ttesting "github.com/tektoncd/pipeline/pkg/reconciler/testing"
	_ "github.com/tektoncd/pipeline/pkg/taskrunmetrics/fake"
	tekton "github.com/tektoncd/pipeline/test"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/clock"
	"knative.dev/pkg/apis"
	cminformer "knative.dev/pkg/configmap/informer"
	"knative.dev/pkg/controller"
	"knative.dev/pkg/logging"
	pkgreconciler "knative.dev/pkg/reconciler"
	"knative.dev/pkg/system"
	_ "knative.dev/pkg/system/testing" // names the namespace Tekton's settings are in
	"sigs.k8s.io/yaml"

	"slipway.dev/tests/tekton/podrun"
)

const Namespace = "default"

// Images Tekton puts into Pods itself.
const EntrypointImage = "tekton.example/entrypoint"

// Plane is one control plane; a test has its own.
type Plane struct {
	t         *testing.T
	ctx       context.Context
	host      *podrun.Host
	clients   tekton.Clients
	informers tekton.Informers
	taskRuns  *controller.Impl
	pipelines *controller.Impl
	claims    map[string]string
	running   map[string]*podrun.Pod
	// Watch is called with each Pod that was started; for tests that interfere.
	Watch func(*podrun.Pod, *corev1.Pod)
}

// New is a plane that knows the given objects (*v1.Task, *v1beta1.StepAction, *v1.Pipeline, *corev1.Secret, …).
func New(t *testing.T, host *podrun.Host, objects ...any) *Plane {
	t.Helper()
	ctx, _ := ttesting.SetupFakeContext(t)
	// The reconcilers' own log is a line or two for every turn.
	ctx, cancel := context.WithCancel(logging.WithLogger(ctx, zap.NewNop().Sugar()))
	t.Cleanup(cancel)
	data := tekton.Data{ServiceAccounts: []*corev1.ServiceAccount{
		{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: Namespace}}}}
	for _, object := range objects {
		switch object := object.(type) {
		case *v1.Task:
			data.Tasks = append(data.Tasks, object)
		case *v1.Pipeline:
			data.Pipelines = append(data.Pipelines, object)
		case *v1beta1.StepAction:
			data.StepActions = append(data.StepActions, object)
		case *corev1.Secret:
			data.Secrets = append(data.Secrets, object)
		case *corev1.ConfigMap:
			data.ConfigMaps = append(data.ConfigMaps, object)
		case *corev1.ServiceAccount:
			data.ServiceAccounts = append(data.ServiceAccounts, object)
		default:
			t.Fatalf("no place for a %T", object)
		}
	}
	tekton.EnsureConfigurationConfigMapsExist(&data)
	clients, informers := tekton.SeedTestData(t, ctx, data)
	watcher := cminformer.NewInformedWatcher(clients.Kube, system.Namespace())
	options := &pipeline.Options{Images: pipeline.Images{EntrypointImage: EntrypointImage, NopImage: "nop.example",
		ShellImage: "shell.example", WorkingDirInitImage: "workingdir.example", SidecarLogResultsImage: "sidecar.example"}}
	plane := &Plane{t: t, ctx: ctx, host: host, clients: clients, informers: informers, claims: map[string]string{},
		running: map[string]*podrun.Pod{}}
	plane.taskRuns = taskrun.NewController(options, clock.RealClock{})(ctx, watcher)
	plane.pipelines = pipelinerun.NewController(options, clock.RealClock{})(ctx, watcher)
	for _, impl := range []*controller.Impl{plane.taskRuns, plane.pipelines} {
		if aware, ok := impl.Reconciler.(pkgreconciler.LeaderAware); ok {
			if err := aware.Promote(pkgreconciler.UniversalBucket(), func(pkgreconciler.Bucket, types.NamespacedName) {}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := watcher.Start(ctx.Done()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, pod := range plane.running {
			if err := pod.Remove(); err != nil {
				t.Errorf("remove %s: %v", pod, err)
			}
		}
	})
	return plane
}

// Secret, ConfigMap and Claim make a Plane what podrun asks about.
func (p *Plane) Secret(namespace, name string) (map[string][]byte, error) {
	secret, err := p.clients.Kube.CoreV1().Secrets(namespace).Get(p.ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	data := map[string][]byte{}
	for key, value := range secret.Data {
		data[key] = value
	}
	for key, value := range secret.StringData {
		data[key] = []byte(value)
	}
	return data, nil
}

func (p *Plane) ConfigMap(namespace, name string) (map[string]string, error) {
	object, err := p.clients.Kube.CoreV1().ConfigMaps(namespace).Get(p.ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return object.Data, nil
}

func (p *Plane) Claim(_, name string) (string, error) {
	if directory, ok := p.claims[name]; ok {
		return directory, nil
	}
	directory, err := os.MkdirTemp(p.host.Directory, "claim-")
	p.claims[name] = directory
	p.t.Cleanup(func() { os.RemoveAll(directory) })
	return directory, err
}

// Load reads documents strictly, fills in defaults and validates them, as the admission webhook does.
func Load(ctx context.Context, path string) ([]any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var objects []any
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		object, err := Decode(ctx, document)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// Decode is Load for one document.
func Decode(ctx context.Context, document []byte) (any, error) {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return nil, err
	}
	kinds := map[string]any{"tekton.dev/v1 Task": &v1.Task{}, "tekton.dev/v1 TaskRun": &v1.TaskRun{}, "tekton.dev/v1 Pipeline": &v1.Pipeline{},
		"tekton.dev/v1 PipelineRun": &v1.PipelineRun{}, "tekton.dev/v1beta1 StepAction": &v1beta1.StepAction{}, "v1 Secret": &corev1.Secret{},
		"v1 ConfigMap": &corev1.ConfigMap{}, "v1 ServiceAccount": &corev1.ServiceAccount{}}
	object, ok := kinds[kind.APIVersion+" "+kind.Kind]
	if !ok {
		return nil, fmt.Errorf("unknown kind %s %s", kind.APIVersion, kind.Kind)
	}
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		return nil, err
	}
	if err := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(document), 4096).Decode(object); err != nil {
		return nil, err
	}
	if accessor, ok := object.(metav1.Object); ok && accessor.GetNamespace() == "" {
		accessor.SetNamespace(Namespace)
	}
	if defaulted, ok := object.(apis.Defaultable); ok {
		defaulted.SetDefaults(ctx)
	}
	if validated, ok := object.(apis.Validatable); ok {
		if problem := validated.Validate(ctx); problem != nil {
			return nil, problem
		}
	}
	return object, nil
}

// Outcome is how a TaskRun ended.
type Outcome struct {
	TaskRun *v1.TaskRun
	Pod     *corev1.Pod // as Tekton made it
	Ran     *podrun.Pod
}

// Succeeded says whether Tekton calls it that.
func (o Outcome) Succeeded() bool {
	return o.TaskRun.Status.GetCondition(apis.ConditionSucceeded).IsTrue()
}

// Result is a result of the TaskRun; "" if there is none.
func (o Outcome) Result(name string) string {
	for _, result := range o.TaskRun.Status.Results {
		if result.Name == name {
			return result.Value.StringVal
		}
	}
	return ""
}

// Step is the status of one of its steps.
func (o Outcome) Step(name string) v1.StepState {
	for _, step := range o.TaskRun.Status.Steps {
		if step.Name == name {
			return step
		}
	}
	return v1.StepState{}
}

// Story is what one wants to read when a test fails.
func (o Outcome) Story() string {
	var text strings.Builder
	condition := o.TaskRun.Status.GetCondition(apis.ConditionSucceeded)
	fmt.Fprintf(&text, "%s: %s: %s\n", o.TaskRun.Name, condition.Reason, condition.Message)
	for _, result := range o.TaskRun.Status.Results {
		fmt.Fprintf(&text, "  %s = %q\n", result.Name, result.Value.StringVal)
	}
	if o.Ran != nil {
		for _, container := range append(append([]corev1.Container{}, o.Pod.Spec.InitContainers...), o.Pod.Spec.Containers...) {
			log := o.Ran.Log(container.Name)
			fmt.Fprintf(&text, "--- %s\n%s\n", container.Name, log[max(0, len(log)-3000):])
		}
		for _, status := range o.Ran.Status().ContainerStatuses {
			if end := status.State.Terminated; end != nil {
				fmt.Fprintf(&text, "--- %s: exit %d, %d bytes: %s\n", status.Name, end.ExitCode, len(end.Message), end.Message)
			} else {
				fmt.Fprintf(&text, "--- %s: %v\n", status.Name, status.State)
			}
		}
	}
	return text.String()
}

// Create puts a TaskRun into the cluster, defaulted and validated.
func (p *Plane) Create(run *v1.TaskRun) *v1.TaskRun {
	p.t.Helper()
	run = run.DeepCopy()
	run.Namespace = Namespace
	if run.Name == "" {
		run.Name = run.GenerateName + "x"
	}
	run.UID = types.UID("uid-" + run.Name)
	run.SetDefaults(p.ctx)
	if problem := run.Validate(p.ctx); problem != nil {
		p.t.Fatalf("TaskRun %s: %v", run.Name, problem)
	}
	made, err := p.clients.Pipeline.TektonV1().TaskRuns(Namespace).Create(p.ctx, run, metav1.CreateOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return made
}

// Pod is the Pod Tekton makes of a TaskRun, which is not run.
func (p *Plane) Pod(run *v1.TaskRun) (*corev1.Pod, error) {
	p.t.Helper()
	made := p.Create(run)
	p.reconcileTaskRun(made.Name)
	made = p.taskRun(made.Name)
	if condition := made.Status.GetCondition(apis.ConditionSucceeded); condition.IsFalse() {
		return nil, fmt.Errorf("%s: %s", condition.Reason, condition.Message)
	}
	return p.clients.Kube.CoreV1().Pods(Namespace).Get(p.ctx, made.Status.PodName, metav1.GetOptions{})
}

// Run runs a TaskRun to its end.
func (p *Plane) Run(run *v1.TaskRun, limit time.Duration) Outcome {
	p.t.Helper()
	return p.Finish(p.Create(run).Name, limit)
}

// Finish reconciles until the TaskRun is done.
func (p *Plane) Finish(name string, limit time.Duration) Outcome {
	p.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		run := p.Tick(name)
		if run.IsDone() {
			return p.Outcome(name)
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("not done after %s: %s", limit, p.Outcome(name).Story())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Tick is one turn of everything that concerns a TaskRun: the reconciler, then the kubelet.
func (p *Plane) Tick(name string) *v1.TaskRun {
	p.t.Helper()
	p.reconcileTaskRun(name)
	run := p.taskRun(name)
	if run.Status.PodName == "" {
		return run
	}
	pod, err := p.clients.Kube.CoreV1().Pods(Namespace).Get(p.ctx, run.Status.PodName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) { // cancelled or timed out: deleted
		if ran := p.running[run.Status.PodName]; ran != nil {
			ran.Stop(30 * time.Second)
		}
		return run
	} else if err != nil {
		p.t.Fatal(err)
	}
	p.kubelet(pod)
	return run
}

// kubelet starts a Pod that is new and reports on one that is not.
func (p *Plane) kubelet(pod *corev1.Pod) {
	p.t.Helper()
	ran := p.running[pod.Name]
	if ran == nil {
		var err error
		if ran, err = podrun.Start(p.ctx, p.host, pod, p); err != nil {
			p.t.Fatal(err)
		}
		p.running[pod.Name] = ran
		if p.Watch != nil {
			go p.Watch(ran, pod)
		}
	}
	if err := ran.Refresh(pod); err != nil {
		p.t.Fatal(err)
	}
	updated := pod.DeepCopy()
	updated.Status = ran.Status()
	if _, err := p.clients.Kube.CoreV1().Pods(Namespace).Update(p.ctx, updated, metav1.UpdateOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

// Outcome is how it stands with a TaskRun.
func (p *Plane) Outcome(name string) Outcome {
	run := p.taskRun(name)
	outcome := Outcome{TaskRun: run, Ran: p.running[run.Status.PodName]}
	outcome.Pod, _ = p.clients.Kube.CoreV1().Pods(Namespace).Get(p.ctx, run.Status.PodName, metav1.GetOptions{})
	return outcome
}

// Update changes a TaskRun in the cluster: what a user does to cancel it.
func (p *Plane) Update(name string, change func(*v1.TaskRun)) {
	p.t.Helper()
	run := p.taskRun(name)
	change(run)
	if _, err := p.clients.Pipeline.TektonV1().TaskRuns(Namespace).Update(p.ctx, run, metav1.UpdateOptions{}); err != nil {
		p.t.Fatal(err)
	}
}

// RunPipeline runs a PipelineRun until it is done, and returns its TaskRuns by pipeline task.
func (p *Plane) RunPipeline(run *v1.PipelineRun, limit time.Duration) map[string][]Outcome {
	p.t.Helper()
	run = run.DeepCopy()
	run.Namespace, run.UID = Namespace, types.UID("uid-"+run.Name)
	run.SetDefaults(p.ctx)
	if problem := run.Validate(p.ctx); problem != nil {
		p.t.Fatal(problem)
	}
	if _, err := p.clients.Pipeline.TektonV1().PipelineRuns(Namespace).Create(p.ctx, run, metav1.CreateOptions{}); err != nil {
		p.t.Fatal(err)
	}
	for deadline := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		p.sync()
		p.reconcile(p.pipelines, run.Name)
		now, err := p.clients.Pipeline.TektonV1().PipelineRuns(Namespace).Get(p.ctx, run.Name, metav1.GetOptions{})
		if err != nil {
			p.t.Fatal(err)
		}
		of := map[string][]Outcome{}
		for _, child := range now.Status.ChildReferences {
			of[child.PipelineTaskName] = append(of[child.PipelineTaskName], p.Outcome(child.Name))
		}
		if now.IsDone() {
			return of
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("not done after %s: %v", limit, now.Status.GetCondition(apis.ConditionSucceeded))
		}
		for _, children := range of {
			for _, child := range children {
				if !child.TaskRun.IsDone() {
					p.Tick(child.TaskRun.Name)
				}
			}
		}
	}
}

func (p *Plane) taskRun(name string) *v1.TaskRun {
	p.t.Helper()
	run, err := p.clients.Pipeline.TektonV1().TaskRuns(Namespace).Get(p.ctx, name, metav1.GetOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	return run
}

// reconcileTaskRun shows the informers what the clients hold (patches pass the fakes' reactors by), then reconciles.
func (p *Plane) reconcileTaskRun(name string) {
	p.t.Helper()
	p.sync()
	p.reconcile(p.taskRuns, name)
}

func (p *Plane) reconcile(impl *controller.Impl, name string) {
	p.t.Helper()
	err := impl.Reconciler.Reconcile(p.ctx, Namespace+"/"+name)
	if again, _ := controller.IsRequeueKey(err); err != nil && !again && !controller.IsPermanentError(err) {
		p.t.Logf("reconcile %s: %v", name, err)
	}
}

func (p *Plane) sync() {
	p.t.Helper()
	pods, err := p.clients.Kube.CoreV1().Pods(Namespace).List(p.ctx, metav1.ListOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	indexer := p.informers.Pod.Informer().GetIndexer()
	for i := range pods.Items {
		if err := indexer.Update(&pods.Items[i]); err != nil {
			p.t.Fatal(err)
		}
	}
	runs, err := p.clients.Pipeline.TektonV1().TaskRuns(Namespace).List(p.ctx, metav1.ListOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	for i := range runs.Items {
		if err := p.informers.TaskRun.Informer().GetIndexer().Update(&runs.Items[i]); err != nil {
			p.t.Fatal(err)
		}
	}
}

package tekton

import (
	"os/exec"
	"path/filepath"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	resolution "github.com/tektoncd/pipeline/pkg/apis/resolution/v1beta1"
	"github.com/tektoncd/pipeline/pkg/resolution/common"
	"github.com/tektoncd/pipeline/pkg/resolution/resolver/bundle"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"slipway.dev/tests/tekton/control"
)

// pushBundle makes the bundle as hack/release does, and is its reference by digest.
func pushBundle(t *testing.T) string {
	t.Helper()
	layout := filepath.Join(t.TempDir(), "bundle")
	digest, err := exec.Command(filepath.Join(top, "hack/catalog"), "--bundle", layout).Output()
	if err != nil {
		t.Fatal(err)
	}
	repository := servers.Registry + "/slipway/slipway-tasks"
	if out, err := exec.Command("skopeo", "copy", "-q", "--preserve-digests", "--dest-tls-verify=false", "oci:"+layout,
		"docker://"+repository+":bundle").CombinedOutput(); err != nil {
		t.Fatalf("skopeo: %s", out)
	}
	return repository + "@" + string(digest[:len("sha256:")+64])
}

// fromBundle is one object, as the resolver of a cluster answers `resolver: bundles`.
func fromBundle(t *testing.T, reference, kind, name string) ([]byte, error) {
	t.Helper()
	cluster := fake.NewClientset(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default", Namespace: control.Namespace}})
	ctx := common.InjectRequestNamespace(t.Context(), control.Namespace)
	var params v1.Params
	for key, value := range map[string]string{"bundle": reference, "kind": kind, "name": name, "serviceAccount": "default"} {
		params = append(params, v1.Param{Name: key, Value: *v1.NewStructuredValues(value)})
	}
	resource, err := bundle.ResolveRequest(ctx, cluster, &resolution.ResolutionRequestSpec{Params: params})
	if err != nil {
		return nil, err
	}
	if source := resource.RefSource(); "sha256:"+source.Digest["sha256"] != reference[len(reference)-71:] {
		t.Errorf("%s %s comes from %v", kind, name, source)
	}
	return resource.Data(), nil
}

func TestTektonsBundleResolverFindsEveryObjectAsItIsPublished(t *testing.T) {
	needServers(t)
	t.Parallel()
	reference, found := pushBundle(t), []any{}
	for _, published := range tasks(t) {
		var kind, name string
		switch object := published.(type) {
		case *v1.Task:
			kind, name = "task", object.Name
		case *v1.Pipeline:
			kind, name = "pipeline", object.Name
		case *v1beta1.StepAction:
			kind, name = "stepaction", object.Name
		}
		document, err := fromBundle(t, reference, kind, name)
		if err != nil {
			t.Fatal(err)
		}
		object, err := control.Decode(t.Context(), document)
		if err != nil {
			t.Fatalf("%s %s: %v", kind, name, err)
		}
		if !equality.Semantic.DeepEqual(object, published) {
			t.Errorf("%s %s is another than in tasks/", kind, name)
		}
		found = append(found, object)
	}
	if _, err := fromBundle(t, reference, "task", "nothing"); err == nil {
		t.Error("an object was found that is not there")
	}
	succeeded(t, control.New(t, host, found...).Run(small(t, "bundled", "", ""), limit), "team/bundled", "v1")
}

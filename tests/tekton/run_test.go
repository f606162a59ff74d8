package tekton

import (
	"testing"

	"slipway.dev/tests/tekton/control"
)

func TestTheTaskBuildsAndPushes(t *testing.T) {
	needServers(t)
	plane := control.New(t, host, tasks(t)...)
	done := plane.Run(taskRun(t, `
metadata: {name: whole}
spec:
  taskRef: {name: slipway}
  params:
    - {name: url, value: _GIT_/project.git}
    - {name: IMAGE, value: "_REGISTRY_/team/whole:v1"}
    - {name: TLSVERIFY, value: "false"}
    - {name: BUILD_ARGS, value: ["BASE=_BASE_"]}
`), limit)
	if !done.Succeeded() {
		t.Fatal(done.Story())
	}
	if held := digest(t, "team/whole", "v1"); held == "" || held != done.Result("IMAGE_DIGEST") {
		t.Errorf("the registry holds %q: %s", held, done.Story())
	}
	t.Log(done.Story())
}

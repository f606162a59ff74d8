package main

import (
	"context"
	"errors"
	"log"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/retry"

	"slipway.dev/tests/tekton/podrun"
)

const (
	look        = 100 * time.Millisecond // between looks at a Pod that runs
	lastMinutes = 2 * time.Minute        // for what a request may take
)

// node is the machine as the API server sees it.
type node struct {
	client kubernetes.Interface
	host   *podrun.Host

	mutex sync.Mutex
	pods  map[string]*running // by uid
}

// running is one Pod that was bound to this node.
type running struct {
	pod     *podrun.Pod
	object  *corev1.Pod
	changes chan *corev1.Pod // its newest object; nil once it is gone from the API
	over    chan struct{}
}

// register makes the Node, or brings up to date one that an earlier run has left.
func (n *node) register(ctx context.Context, port int) error {
	nodes := n.client.CoreV1().Nodes()
	if _, err := nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName,
		Labels: map[string]string{corev1.LabelOSStable: "linux", corev1.LabelHostname: nodeName}}}, metav1.CreateOptions{}); err != nil &&
		!apierrors.IsAlreadyExists(err) {
		return err
	}
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		found, err := nodes.Get(ctx, nodeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		room := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("16"), corev1.ResourceMemory: resource.MustParse("32Gi"),
			corev1.ResourcePods: resource.MustParse("110"), corev1.ResourceEphemeralStorage: resource.MustParse("100Gi")}
		found.Status = corev1.NodeStatus{Capacity: room, Allocatable: room,
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(port)}},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "StandIn",
				LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now()}}}
		_, err = nodes.UpdateStatus(ctx, found, metav1.UpdateOptions{})
		return err
	})
}

// watch sees every Pod of the cluster from now on.
func (n *node) watch(ctx context.Context) error {
	factory := informers.NewSharedInformerFactory(n.client, 0)
	informer := factory.Core().V1().Pods().Informer()
	see := func(object any) { n.see(ctx, object.(*corev1.Pod)) }
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    see,
		UpdateFunc: func(_, object any) { see(object) },
		DeleteFunc: func(object any) {
			if unknown, is := object.(cache.DeletedFinalStateUnknown); is {
				object = unknown.Obj
			}
			if pod, is := object.(*corev1.Pod); is {
				n.tell(string(pod.UID), nil)
			}
		},
	}); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return ctx.Err()
	}
	return nil
}

func (n *node) see(ctx context.Context, pod *corev1.Pod) {
	if pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil {
		binding := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID},
			Target: corev1.ObjectReference{Kind: "Node", Name: nodeName}}
		if err := n.client.CoreV1().Pods(pod.Namespace).Bind(ctx, binding, metav1.CreateOptions{}); err != nil {
			log.Printf("bind %s: %v", pod.Name, err)
		}
		return
	}
	if pod.Spec.NodeName != nodeName {
		return
	}
	n.mutex.Lock()
	_, known := n.pods[string(pod.UID)]
	if !known && pod.Status.Phase == corev1.PodPending && pod.DeletionTimestamp == nil {
		n.pods[string(pod.UID)] = &running{object: pod, changes: make(chan *corev1.Pod, 100), over: make(chan struct{})}
		go n.run(ctx, n.pods[string(pod.UID)])
		known = true
	}
	n.mutex.Unlock()
	if known {
		n.tell(string(pod.UID), pod)
	}
}

func (n *node) tell(uid string, pod *corev1.Pod) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if one, known := n.pods[uid]; known {
		one.changes <- pod
		if pod == nil {
			delete(n.pods, uid)
		}
	}
}

// run is a Pod's life on this node, until its object is gone.
func (n *node) run(ctx context.Context, one *running) {
	defer close(one.over)
	log.Printf("run %s/%s", one.object.Namespace, one.object.Name)
	begun := metav1.Now()
	started, err := podrun.Start(context.WithoutCancel(ctx), n.host, one.object, &objects{ctx, n.client, n.host.Directory})
	if err != nil {
		n.write(ctx, one.object, corev1.PodStatus{Phase: corev1.PodFailed, Reason: "FailedMount", Message: err.Error()}, begun)
		for pod := range one.changes {
			if pod == nil || ctx.Err() != nil {
				return
			}
		}
	}
	n.mutex.Lock()
	one.pod = started
	n.mutex.Unlock()
	defer func() {
		if err := started.Remove(); err != nil {
			log.Printf("remove %s: %v", one.object.Name, err)
		}
	}()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	var told corev1.PodStatus
	stopping := false
	for {
		select {
		case <-ctx.Done():
			started.Stop(0)
			return
		case pod := <-one.changes:
			if pod == nil {
				started.Stop(0)
				return
			}
			if err := started.Refresh(pod); err != nil {
				log.Printf("refresh %s: %v", pod.Name, err)
			}
			if pod.DeletionTimestamp != nil && !stopping {
				stopping = true
				go n.delete(ctx, pod, started, begun)
			}
		case <-ticker.C:
			if now := started.Status(); !stopping && !reflect.DeepEqual(now, told) {
				if n.write(ctx, one.object, now, begun) {
					told = now
				}
			}
		}
	}
}

// delete ends a Pod that somebody wants to be deleted: TERM, KILL after its grace period, last status, gone.
func (n *node) delete(ctx context.Context, pod *corev1.Pod, started *podrun.Pod, begun metav1.Time) {
	grace := 30 * time.Second
	if pod.DeletionGracePeriodSeconds != nil {
		grace = time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
	}
	log.Printf("delete %s/%s in %s", pod.Namespace, pod.Name, grace)
	started.Stop(grace)
	select {
	case <-started.Done():
	case <-time.After(grace + 10*time.Second):
	}
	n.write(ctx, pod, started.Status(), begun)
	now := int64(0)
	if err := n.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now,
		Preconditions: metav1.NewUIDPreconditions(string(pod.UID))}); err != nil && !apierrors.IsNotFound(err) {
		log.Printf("delete %s: %v", pod.Name, err)
	}
}

// write brings the API's status up to date; what the API server itself has put there stays.
func (n *node) write(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus, begun metav1.Time) bool {
	ctx, cancel := context.WithTimeout(ctx, lastMinutes)
	defer cancel()
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		found, err := n.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if found.UID != pod.UID {
			return errors.New("it is another Pod by now")
		}
		status.QOSClass, status.StartTime = found.Status.QOSClass, &begun
		status.HostIPs, status.PodIPs = []corev1.HostIP{{IP: status.HostIP}}, []corev1.PodIP{{IP: status.PodIP}}
		if status.PodIP == "" {
			status.HostIPs, status.PodIPs = nil, nil
		}
		status.Conditions = conditions(&status)
		found.Status = status
		_, err = n.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, found, metav1.UpdateOptions{})
		return err
	})
	if err != nil && !apierrors.IsNotFound(err) {
		log.Printf("status of %s: %v", pod.Name, err)
	}
	return err == nil
}

func conditions(status *corev1.PodStatus) []corev1.PodCondition {
	truth := map[bool]corev1.ConditionStatus{true: corev1.ConditionTrue, false: corev1.ConditionFalse}
	ready := status.Phase == corev1.PodRunning
	for _, one := range status.ContainerStatuses {
		ready = ready && one.Ready
	}
	return []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
		{Type: corev1.PodInitialized, Status: truth[status.Phase != corev1.PodPending]},
		{Type: corev1.ContainersReady, Status: truth[ready]},
		{Type: corev1.PodReady, Status: truth[ready]},
	}
}

// find is the Pod that runs under a name, or nil.
func (n *node) find(namespace, name string) *podrun.Pod {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for _, one := range n.pods {
		if one.object.Namespace == namespace && one.object.Name == name {
			return one.pod
		}
	}
	return nil
}

// end waits for the containers of every Pod to be gone.
func (n *node) end() {
	n.mutex.Lock()
	var all []*running
	for _, one := range n.pods {
		all = append(all, one)
	}
	n.mutex.Unlock()
	for _, one := range all {
		<-one.over
	}
}

// objects is what Pods refer to, from the API.
type objects struct {
	ctx       context.Context
	client    kubernetes.Interface
	directory string
}

func (o *objects) Secret(namespace, name string) (map[string][]byte, error) {
	found, err := o.client.CoreV1().Secrets(namespace).Get(o.ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return found.Data, nil
}

func (o *objects) ConfigMap(namespace, name string) (map[string]string, error) {
	found, err := o.client.CoreV1().ConfigMaps(namespace).Get(o.ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return found.Data, nil
}

func (o *objects) Claim(namespace, name string) (string, error) {
	at := filepath.Join(o.directory, "claims", namespace, name)
	return at, os.MkdirAll(at, 0o777)
}

// Command node stands in for a kubelet and the scheduler against a real API server: it binds Pods to the one node it
// registers, runs them by package podrun, writes their status back, and serves their logs on the kubelet's port, where the
// API server asks for them.
//
//	node --kubeconfig FILE --certificate FILE --key FILE --client-ca FILE [--port N] [--volumes DIR] [--image NAME=LOCAL]...
//
// Prints "ready" once the node is registered and Pods are watched. Ends on SIGTERM, with every container it started.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"slipway.dev/tests/tekton/podrun"
)

const nodeName = "slipway-node"

// pairs is a flag that may be repeated, NAME=VALUE each.
type pairs map[string]string

func (p pairs) String() string { return fmt.Sprint(map[string]string(p)) }

func (p pairs) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("%q is not NAME=VALUE", text)
	}
	p[name] = value
	return nil
}

func main() {
	log.SetFlags(log.Ltime | log.Lmicroseconds)
	images := pairs{}
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server, as somebody who may do all a kubelet does")
	certificate := flag.String("certificate", "", "for serving logs")
	key := flag.String("key", "", "its key")
	clientCA := flag.String("client-ca", "", "authority of those who may ask for logs")
	port := flag.Int("port", 10250, "for serving logs, on loopback")
	volumes := flag.String("volumes", os.TempDir(), "directory for Pods' volumes")
	seccomp := flag.String("seccomp", "", "directory of Localhost seccomp profiles")
	options := flag.String("podman-options", "", "what every podman run needs here")
	flag.Var(images, "image", "NAME=LOCAL: an image of Pods, and what stands for it in podman's storage")
	flag.Parse()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatal(err)
	}
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	here := &node{
		client: client,
		host: &podrun.Host{RunOptions: strings.Fields(*options), Directory: *volumes, Images: images,
			SeccompProfiles: *seccomp, SubordinateIDs: 1 << 20},
		pods: map[string]*running{},
	}
	if err := serveLogs(ctx, here, *port, *certificate, *key, *clientCA); err != nil {
		log.Fatal(err)
	}
	if err := here.register(ctx, *port); err != nil {
		log.Fatal(err)
	}
	if err := here.watch(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	<-ctx.Done()
	here.end()
}

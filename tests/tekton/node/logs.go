package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

// serveLogs listens where the API server looks for a kubelet: GET /containerLogs/NAMESPACE/POD/CONTAINER with follow and
// sinceTime, for whoever shows a certificate of the given authority.
func serveLogs(ctx context.Context, here *node, port int, certificate, key, clientCA string) error {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(clientCA)
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(authority) {
		return fmt.Errorf("%s holds no certificate", clientCA)
	}
	listener, err := tls.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{Certificates: []tls.Certificate{pair},
		ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", here.log)
	server := &http.Server{Handler: mux, BaseContext: func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Printf("logs are served no more: %v", err)
		}
	}()
	return nil
}

func (n *node) log(answer http.ResponseWriter, request *http.Request) {
	container, query := request.PathValue("container"), request.URL.Query()
	pod := n.find(request.PathValue("namespace"), request.PathValue("pod"))
	if pod == nil {
		http.Error(answer, "pod does not exist", http.StatusNotFound)
		return
	}
	if !pod.Begun(container) {
		http.Error(answer, fmt.Sprintf("container %q in pod %q is waiting to start: PodInitializing", container, pod),
			http.StatusBadRequest)
		return
	}
	offset := 0
	if since := query.Get("sinceTime"); since != "" {
		when, err := time.Parse(time.RFC3339, since)
		if err != nil {
			http.Error(answer, "sinceTime: "+err.Error(), http.StatusBadRequest)
			return
		}
		offset = pod.LogSince(container, when)
	}
	answer.Header().Set("Content-Type", "text/plain")
	controller := http.NewResponseController(answer)
	for {
		text, more := pod.ReadLog(container, offset)
		offset += len(text)
		if _, err := answer.Write(text); err != nil {
			return
		}
		if err := controller.Flush(); err != nil {
			return
		}
		if query.Get("follow") != "true" || more == nil {
			return
		}
		select {
		case <-more:
		case <-request.Context().Done():
			return
		}
	}
}

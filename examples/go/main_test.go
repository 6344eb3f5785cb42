package main

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func get(t *testing.T, s *server, path string) *httptest.ResponseRecorder {
	t.Helper()
	recorder := httptest.NewRecorder()
	s.routes().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder
}

func TestHealthyAndReadyAlone(t *testing.T) {
	s, err := newServer("", "", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/healthz", "/readyz", "/hello", "/work"} {
		if code := get(t, s, path).Code; code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
	}
}

func TestNotReadyWithoutItsDependencies(t *testing.T) {
	// A port that was free a moment ago, and that nobody listens on.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	for name, s := range map[string]*server{"etcd": {etcd: address}, "redis": {redis: address}} {
		answer := get(t, s, "/readyz")
		if answer.Code != http.StatusServiceUnavailable || !strings.Contains(answer.Body.String(), name) {
			t.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
}

func TestReadyWhenRedisAnswers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		_, _ = connection.Read(make([]byte, 16))
		_, _ = connection.Write([]byte("+PONG\r\n"))
	}()
	answer := get(t, &server{redis: listener.Addr().String()}, "/readyz")
	if answer.Code != http.StatusOK {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

func TestConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"greeting": "good day", "delay": "1ms"}`)
	s, err := newServer(file, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if body := get(t, s, "/hello").Body.String(); body != "good day\n" {
		t.Errorf("greeting: %q", body)
	}
	for _, wrong := range []string{`{`, `{"delay": "soon"}`, `{"greting": "x"}`, `{"limit": 0}`} {
		write(wrong)
		if _, err := newServer(file, "", ""); err == nil || !strings.Contains(err.Error(), "config.json") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// A new limit counts for those that wait already, and a wrong file changes nothing.
func TestNewConfigurationWhileServing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"limit": 1}`)
	s, err := newServer(file, "", "")
	if err != nil {
		t.Fatal(err)
	}
	inside, goOn := make(chan struct{}), make(chan struct{})
	s.work = func(context.Context, time.Duration) {
		inside <- struct{}{}
		<-goOn
	}
	codes := make(chan int, 2)
	for i := 0; i < 2; i++ {
		go func() { codes <- get(t, s, "/work").Code }()
	}
	<-inside
	var output bytes.Buffer
	write(`{"limit": "many"}`)
	s.reload(log.New(&output, "", 0))
	if !strings.Contains(output.String(), "the one before counts") || get(t, s, "/limit").Body.String() != "1\n" {
		t.Errorf("a wrong one: %s", output.String())
	}
	select {
	case <-inside:
		t.Fatal("two are inside, and the limit is 1")
	default:
	}
	write(`{"limit": 2}`)
	s.reload(log.New(&output, "", 0))
	<-inside
	close(goOn)
	for i := 0; i < 2; i++ {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("code %d", code)
		}
	}
}

// The end: a request in flight gets its answer, new ones are refused, and the log says what happens.
func TestRequestsInFlightFinish(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	ctx, end := context.WithCancel(context.Background())
	// The request says itself when it is under way, and ends when the test lets it.
	underWay, goOn := make(chan struct{}), make(chan struct{})
	s, err := newServer("", "", "")
	if err != nil {
		t.Fatal(err)
	}
	s.work = func(context.Context, time.Duration) {
		close(underWay)
		<-goOn
	}
	served := make(chan error, 1)
	go func() { served <- serve(ctx, log.New(&output, "", 0), listener, s, time.Minute) }()

	type result struct {
		body string
		err  error
	}
	answered := make(chan result, 1)
	go func() {
		response, err := http.Get("http://" + listener.Addr().String() + "/work")
		if err != nil {
			answered <- result{"", err}
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		answered <- result{string(body), err}
	}()
	<-underWay
	end()
	// New connections are refused while the request is still under way.
	for deadline := time.Now().Add(20 * time.Second); ; {
		connection, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			break
		}
		connection.Close()
		if time.Now().After(deadline) {
			t.Fatal("it still listens")
		}
	}
	close(goOn)
	if got := <-answered; got.err != nil || got.body != "done\n" {
		t.Errorf("the request in flight: %+v", got)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if !strings.HasSuffix(output.String(), "stopping: requests in flight may finish\nstopped\n") {
		t.Errorf("log: %q", output.String())
	}
}

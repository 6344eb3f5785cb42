package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	for _, wrong := range []string{`{`, `{"delay": "soon"}`} {
		write(wrong)
		if _, err := newServer(file, "", ""); err == nil || !strings.Contains(err.Error(), "config.json") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

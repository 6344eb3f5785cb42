// A small server that Mainstay keeps up: HTTP with /healthz and /readyz, flags, a configuration file, and an end
// that lets requests in flight finish, on Ctrl+C as well as on SIGTERM.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// badConfiguration is the exit code that says: starting again will not help (EX_CONFIG of sysexits.h).
const badConfiguration = 78

// config is what the configuration file may say.
type config struct {
	// Greeting is what /hello answers.
	Greeting string `json:"greeting"`
	// Delay is how long /work takes, as a Go duration.
	Delay string `json:"delay"`
}

// server is the program's state.
type server struct {
	config config
	// work is what /work does, until it is done or nobody waits for it any longer.
	work func(context.Context)
	// etcd and redis are addresses that have to answer before the server is ready; empty ones are not asked.
	etcd, redis string
}

func main() {
	port := flag.Int("port", 8080, "port to listen on, on the loopback address")
	file := flag.String("config", "", "configuration file (JSON)")
	etcd := flag.String("etcd", "", "etcd's address, such as 127.0.0.1:2379")
	redis := flag.String("redis", "", "Redis' address, such as 127.0.0.1:6379")
	drain := flag.Duration("drain", 5*time.Second, "longest wait for requests in flight at the end")
	flag.Parse()

	// One line a message on standard output: Mainstay keeps it.
	logger := log.New(os.Stdout, "", 0)
	s, err := newServer(*file, *etcd, *redis)
	if err != nil {
		logger.Printf("bad configuration: %v", err)
		os.Exit(badConfiguration)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		logger.Printf("fatal: %v", err)
		os.Exit(1)
	}

	// Go turns Windows' Ctrl+C into os.Interrupt.
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		// From now on a second one ends the program at once.
		restore()
	}()
	if err := serve(ctx, logger, listener, s, *drain); err != nil {
		logger.Printf("fatal: %v", err)
		os.Exit(1)
	}
}

// serve answers until ctx is done, and then lets requests in flight finish.
func serve(ctx context.Context, logger *log.Logger, listener net.Listener, s *server, drain time.Duration) error {
	logger.Printf("listening on http://%s", listener.Addr())
	httpServer := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- httpServer.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}

	logger.Print("stopping: requests in flight may finish")
	ending, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	if err := httpServer.Shutdown(ending); err != nil {
		return fmt.Errorf("not all requests finished: %w", err)
	}
	logger.Print("stopped")
	return nil
}

func newServer(file, etcd, redis string) (*server, error) {
	s := &server{config: config{Greeting: "hello", Delay: "10ms"}, etcd: etcd, redis: redis}
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&s.config); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	delay, err := time.ParseDuration(s.config.Delay)
	if err != nil {
		return nil, fmt.Errorf("%s: delay: %w", file, err)
	}
	s.work = func(ctx context.Context) {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
	return s, nil
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", s.ready)
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, s.config.Greeting) })
	mux.HandleFunc("/work", func(w http.ResponseWriter, r *http.Request) {
		s.work(r.Context())
		fmt.Fprintln(w, "done")
	})
	return mux
}

// ready says whether everything that the server needs answers.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 900*time.Millisecond)
	defer cancel()
	for _, check := range []func(context.Context) error{s.askEtcd, s.askRedis} {
		if err := check(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ready")
}

func (s *server) askEtcd(ctx context.Context) error {
	if s.etcd == "" {
		return nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.etcd+"/health", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd: %s", response.Status)
	}
	return nil
}

// askRedis speaks just enough of Redis' protocol to hear a PONG.
func (s *server) askRedis(ctx context.Context) error {
	if s.redis == "" {
		return nil
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.redis)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	defer connection.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := connection.SetDeadline(deadline); err != nil {
			return fmt.Errorf("redis: %w", err)
		}
	}
	if _, err := connection.Write([]byte("PING\r\n")); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	answer := make([]byte, 64)
	n, err := connection.Read(answer)
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	if !strings.HasPrefix(string(answer[:n]), "+PONG") {
		return errors.New("redis: no PONG")
	}
	return nil
}

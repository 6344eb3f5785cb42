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
	"sync"
	"sync/atomic"
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
	// Limit is how many /work may be under way at a time; more of them wait.
	Limit int `json:"limit"`
}

// settings is what a configuration comes to.
type settings struct {
	config
	delay time.Duration
}

// server is the program's state.
type server struct {
	// file is where the configuration comes from, if anywhere.
	file     string
	settings atomic.Pointer[settings]
	// slots lets so many /work through at a time as the configuration says.
	slots slots
	// work is what /work does, for so long or until nobody waits for it any longer.
	work func(context.Context, time.Duration)
	// etcd and redis are addresses that have to answer before the server is ready; empty ones are not asked.
	etcd, redis string
}

func main() {
	port := flag.Int("port", 8080, "port to listen on, on the loopback address")
	file := flag.String("config", "", "configuration file (JSON)")
	etcd := flag.String("etcd", "", "etcd's address, such as 127.0.0.1:2379")
	redis := flag.String("redis", "", "Redis' address, such as 127.0.0.1:6379")
	drain := flag.Duration("drain", 5*time.Second, "longest wait for requests in flight at the end")
	event := flag.String("reload-event", "", "Windows: the named event that has the configuration file read anew")
	check := flag.Bool("check", false, "look whether the configuration file is right, and end")
	flag.Parse()

	// One line a message on standard output: Mainstay keeps it.
	logger := log.New(os.Stdout, "", 0)
	s, err := newServer(*file, *etcd, *redis)
	if err != nil {
		logger.Printf("bad configuration: %v", err)
		os.Exit(badConfiguration)
	}
	if *check {
		return
	}
	// Before anybody can think that it is up and send it a signal.
	reloads, err := whenToReload(*event)
	if err != nil {
		logger.Printf("fatal: %v", err)
		os.Exit(1)
	}
	go func() {
		for range reloads {
			s.reload(logger)
		}
	}()
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
	s := &server{file: file, etcd: etcd, redis: redis}
	s.slots.free.L = &s.slots.mutex
	s.work = func(ctx context.Context, delay time.Duration) {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// load reads the configuration file; if something is wrong with it everything stays as it is.
func (s *server) load() error {
	next := settings{config: config{Greeting: "hello", Delay: "10ms", Limit: 100}}
	if s.file != "" {
		text, err := os.ReadFile(s.file)
		if err != nil {
			return err
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&next.config); err != nil {
			return fmt.Errorf("%s: %w", s.file, err)
		}
	}
	delay, err := time.ParseDuration(next.Delay)
	if err != nil {
		return fmt.Errorf("%s: delay: %w", s.file, err)
	}
	if next.Limit < 1 {
		return fmt.Errorf("%s: limit: %d is less than 1", s.file, next.Limit)
	}
	next.delay = delay
	s.settings.Store(&next)
	s.slots.set(next.Limit)
	return nil
}

// reload takes over what the file says by now, while requests are served.
func (s *server) reload(logger *log.Logger) {
	if err := s.load(); err != nil {
		logger.Printf("bad configuration, the one before counts: %v", err)
		return
	}
	logger.Printf("new configuration: limit %d", s.settings.Load().Limit)
}

// slots lets a number of visitors in at a time; the number can change meanwhile.
type slots struct {
	mutex       sync.Mutex
	free        sync.Cond
	limit, busy int
}

func (s *slots) set(limit int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.limit = limit
	s.free.Broadcast()
}

func (s *slots) enter() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for s.busy >= s.limit {
		s.free.Wait()
	}
	s.busy++
}

func (s *slots) leave() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.busy--
	s.free.Signal()
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", s.ready)
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, s.settings.Load().Greeting) })
	mux.HandleFunc("/limit", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, s.settings.Load().Limit) })
	mux.HandleFunc("/work", func(w http.ResponseWriter, r *http.Request) {
		s.slots.enter()
		defer s.slots.leave()
		s.work(r.Context(), s.settings.Load().delay)
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

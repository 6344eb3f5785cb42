// Leaky is a server that does some work and, if asked to, forgets to give things back: memory, goroutines or handles.
// docs/leaks.md tells how its recorded runs are made.
package main

import (
	"flag"
	"fmt"
	"math/rand"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// work is what a request needs for a moment: garbage for the collector.
func work() int {
	buffers := make([][]byte, 0, 64)
	for i := 0; i < 64; i++ {
		buffers = append(buffers, make([]byte, 1024+rand.Intn(64*1024)))
	}
	total := 0
	for _, buffer := range buffers {
		buffer[0] = 1
		total += len(buffer)
	}
	return total
}

// status is a line of what the kernel says about this process.
func status(name string) string {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			return fields[1]
		}
	}
	return "0"
}

// handles is how many descriptors this process has.
func handles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

func main() {
	leak := flag.String("leak", "none", "what is not given back: none, memory, goroutines, handles")
	perMinute := flag.Float64("per-minute", 1, "how much of it in a minute: MiB, or hundreds of goroutines, or handles")
	cache := flag.Int("cache", 64, "MiB that it holds from the beginning")
	record := flag.Bool("record", false, "print seconds, resident memory in KiB, handles and threads each second (Linux)")
	files := flag.Int("files", 200, "handles that it holds from the beginning")
	flag.Parse()

	held := make([]byte, *cache<<20)
	for i := 0; i < len(held); i += 4096 {
		held[i] = byte(i)
	}
	var open []*os.File
	openOne := func() {
		if file, err := os.Open(os.DevNull); err == nil {
			open = append(open, file)
		}
	}
	for i := 0; i < *files; i++ {
		openOne()
	}
	if *record {
		go func() {
			for second := 0; ; second++ {
				fmt.Println(second, status("VmRSS:"), handles(), status("Threads:"))
				time.Sleep(time.Second)
			}
		}()
	} else {
		fmt.Println("ready, leaks", *leak)
	}

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	tick := time.NewTicker(50 * time.Millisecond)
	var kept [][]byte
	begun, done, total := time.Now(), 0.0, 0
	for {
		select {
		case <-stop:
			fmt.Fprintln(os.Stderr, "stopped after", total, "bytes,", len(kept), "pieces,", len(open), "files,", held[0])
			return
		case <-tick.C:
		}
		for i := rand.Intn(6); i > 0; i-- {
			total += work()
		}
		// A request in flight has a connection; it is given back.
		if file, err := os.Open(os.DevNull); err == nil {
			time.AfterFunc(time.Duration(rand.Intn(500))*time.Millisecond, func() { _ = file.Close() })
		}
		for due := time.Since(begun).Minutes() * *perMinute; done < due; {
			switch *leak {
			case "memory":
				piece := make([]byte, 1<<16)
				for i := 0; i < len(piece); i += 4096 {
					piece[i] = 1
				}
				kept = append(kept, piece)
				done += 1.0 / 16
			case "goroutines":
				go func() { select {} }()
				done += 1.0 / 100
			case "handles":
				openOne()
				done++
			default:
				done = due
			}
		}
	}
}

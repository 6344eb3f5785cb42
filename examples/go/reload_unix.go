//go:build !windows

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// whenToReload says when the configuration file is to be read anew: at a SIGHUP.
func whenToReload(string) (<-chan os.Signal, error) {
	reloads := make(chan os.Signal, 1)
	signal.Notify(reloads, syscall.SIGHUP)
	return reloads, nil
}

package main

import (
	"fmt"
	"syscall"
	"unsafe"
)

var createEvent = syscall.NewLazyDLL("kernel32.dll").NewProc("CreateEventW")

// whenToReload says when the configuration file is to be read anew: whenever somebody sets the event of this name.
func whenToReload(event string) (<-chan struct{}, error) {
	reloads := make(chan struct{})
	if event == "" {
		return reloads, nil
	}
	name, err := syscall.UTF16PtrFromString(event)
	if err != nil {
		return nil, fmt.Errorf("the event %q: %w", event, err)
	}
	// It is reset by itself when somebody has waited for it.
	handle, _, err := createEvent.Call(0, 0, 0, uintptr(unsafe.Pointer(name)))
	if handle == 0 {
		return nil, fmt.Errorf("the event %q: %w", event, err)
	}
	go func() {
		for {
			if _, err := syscall.WaitForSingleObject(syscall.Handle(handle), syscall.INFINITE); err != nil {
				return
			}
			reloads <- struct{}{}
		}
	}()
	return reloads, nil
}

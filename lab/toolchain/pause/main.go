// Command pause holds a pod's namespaces open and reaps what is orphaned in them.
//
// usage: pause                 hold
//
//	pause resolve NAME…   try every 50 ms until the pod's resolver knows every name, then exit 0
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func resolve(names []string) {
	for _, name := range names {
		for {
			ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
			addresses, err := net.DefaultResolver.LookupHost(ctx, name)
			cancel()
			if err == nil {
				fmt.Println(name, addresses)
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == "resolve" {
		resolve(os.Args[2:])
		return
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if err != nil || pid <= 0 {
				break
			}
		}
	}
}

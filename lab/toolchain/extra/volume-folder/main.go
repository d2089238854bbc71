// Command volume-folder makes or removes the folder of one volume, for
// local-path-provisioner: all that its helper pod does, so that no shell is needed.
//
// usage: volume-folder -p PATH -s BYTES -m MODE -a create|delete
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	path := flag.String("p", "", "the volume's folder")
	action := flag.String("a", "", "create or delete")
	flag.String("s", "", "its size in bytes, which a folder cannot keep to")
	flag.String("m", "", "its mode, always Filesystem")
	flag.Parse()
	if err := act(*action, *path); err != nil {
		fmt.Fprintln(os.Stderr, "volume-folder:", err)
		os.Exit(1)
	}
}

func act(action, path string) error {
	switch action {
	case "create":
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		// Whatever user the pod runs as may write: no other pod sees this folder.
		return os.Chmod(path, 0o777)
	case "delete":
		return os.RemoveAll(path)
	}
	return fmt.Errorf("-a: expected create or delete, got %q", action)
}

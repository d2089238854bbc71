// Command machine is the first process of a lab machine: it enters the machine's
// own mount, PID, UTS and IPC namespaces, lays the machine's folders over the
// usual paths, starts its programs and reaps what is orphaned.
//
// All of a machine lives in namespaces that end with this process: killing it
// kills every process of the machine and undoes every mount, by the kernel's own
// hand. Nothing has to be found again by a cleaner.
//
// usage: machine CONFIG.json
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// Program is one supervised program of the machine.
type Program struct {
	Name string   `json:"name"`
	Argv []string `json:"argv"`
	Env  []string `json:"env"`
	Log  string   `json:"log"`
	// When names a file whose appearance starts the program; empty starts it at once.
	When string `json:"when"`
}

// Bind lays one folder or file over another path.
type Bind struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Config is what CONFIG.json holds.
type Config struct {
	Hostname string   `json:"hostname"`
	Netns    string   `json:"netns"`
	Cgroups  []string `json:"cgroups"`
	Tmpfs    []string `json:"tmpfs"`
	Binds    []Bind   `json:"binds"`
	Pids     string   `json:"pids"`
	// Init gets the outer number of the machine's first process: of its parent's
	// children it is not always the only one, since Go's runtime forks to look
	// for features of the kernel.
	Init     string    `json:"init"`
	Programs []Program `json:"programs"`
}

// The death signal below is sent when the thread that asked for it ends: keep
// the main goroutine on the main thread.
func init() { runtime.LockOSThread() }

const stage = "LAB_MACHINE_STAGE"

func fail(what string, err error) {
	fmt.Fprintf(os.Stderr, "machine: %s: %v\n", what, err)
	os.Exit(1)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: machine CONFIG.json")
		os.Exit(2)
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail("config", err)
	}
	var config Config
	if err := json.Unmarshal(text, &config); err != nil {
		fail("config", err)
	}
	if os.Getenv(stage) == "" {
		outside(config)
		return
	}
	inside(config)
}

// outside joins the cgroups and the network namespace, and runs this program
// again as the first process of the new namespaces. It ends with it.
//
// It waits for a line on its standard input first: the caller writes it once it
// has recorded this process, so that a killed caller leaves nothing unrecorded.
func outside(config Config) {
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		fail("no word to go on", err)
	}
	for _, group := range config.Cgroups {
		if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			fail("join cgroup "+group, err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		fail("own path", err)
	}
	// nsenter sets the network namespace before Go starts threads of its own.
	command := exec.Command("nsenter", "--net="+config.Netns, self, os.Args[1])
	command.Env = append(os.Environ(), stage+"=inside")
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		// The machine ends with this process, so that recording one of the two is enough.
		Pdeathsig: syscall.SIGKILL,
	}
	if err := command.Start(); err != nil {
		fail("start", err)
	}
	replace(config.Init, []byte(strconv.Itoa(command.Process.Pid)))
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		_ = command.Process.Kill()
	}()
	if err := command.Wait(); err != nil {
		fail("machine ended", err)
	}
}

func mount(source, target, kind string, flags uintptr, data string) {
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		fail("mount "+source+" on "+target, err)
	}
}

func lay(bind Bind) {
	info, err := os.Stat(bind.From)
	if err != nil {
		fail("bind", err)
	}
	if info.IsDir() {
		err = os.MkdirAll(bind.To, 0o755)
	} else {
		_, err = os.Stat(bind.To)
	}
	if err != nil {
		fail("bind", err)
	}
	mount(bind.From, bind.To, "", syscall.MS_BIND|syscall.MS_REC, "")
}

func inside(config Config) {
	// Private first: nothing mounted from here on is seen outside. Then shared
	// within, because kubelet asks for it for mount propagation into pods.
	mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, "")
	mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, "")
	for _, path := range config.Tmpfs {
		mount("tmpfs", path, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=0755")
	}
	for _, bind := range config.Binds {
		lay(bind)
	}
	if err := syscall.Sethostname([]byte(config.Hostname)); err != nil {
		fail("hostname", err)
	}
	_ = os.Unsetenv(stage)
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM)
	names := map[int]string{}
	waiting := config.Programs
	ticker := time.NewTicker(20 * time.Millisecond)
	for {
		if len(waiting) > 0 {
			waiting = startDue(waiting, names, config.Pids)
		} else {
			ticker.Stop()
		}
		select {
		case <-ticker.C:
			continue
		case received := <-signals:
			if received == syscall.SIGTERM {
				return
			}
		}
		for {
			var status syscall.WaitStatus
			pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
			if err != nil || pid <= 0 {
				break
			}
			if name, ok := names[pid]; ok {
				fmt.Fprintf(os.Stderr, "machine: %s ended: %v\n", name, status)
				delete(names, pid)
				record(config.Pids, names)
			}
		}
	}
}

// startDue starts the programs whose time has come and returns the others.
func startDue(waiting []Program, names map[int]string, pids string) []Program {
	var later []Program
	for _, program := range waiting {
		if program.When != "" {
			if _, err := os.Stat(program.When); err != nil {
				later = append(later, program)
				continue
			}
		}
		names[start(program)] = program.Name
	}
	if len(later) < len(waiting) {
		record(pids, names)
	}
	return later
}

// start runs a program without os/exec's own waiting, which would race with the
// reaper above for the exit status.
func start(program Program) int {
	log, err := os.OpenFile(program.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		fail("log", err)
	}
	defer log.Close()
	none, err := os.Open(os.DevNull)
	if err != nil {
		fail("null", err)
	}
	defer none.Close()
	process, err := os.StartProcess(program.Argv[0], program.Argv, &os.ProcAttr{
		Env:   append(os.Environ(), program.Env...),
		Files: []*os.File{none, log, log},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		fail("start "+program.Name, err)
	}
	return process.Pid
}

func record(path string, names map[int]string) {
	pids := map[string]int{}
	for pid, name := range names {
		pids[name] = pid
	}
	text, err := json.Marshal(pids)
	if err != nil {
		fail("pids", err)
	}
	replace(path, text)
}

// replace writes a file so that a reader sees the old text or the new one.
func replace(path string, text []byte) {
	if err := os.WriteFile(path+".tmp", text, 0o644); err != nil {
		fail("write "+path, err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		fail("write "+path, err)
	}
}

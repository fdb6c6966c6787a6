// The stand-in takes the agent's place in the suite: it reads the launch as the
// agent does, and does what the script in the launch's contexts says instead of
// running steps. See conformance.Script for the words.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "run":
		err = run(os.Args[2], "0")
	case len(os.Args) == 4 && os.Args[1] == "run":
		err = run(os.Args[2], os.Args[3])
	case len(os.Args) == 5 && os.Args[1] == "install":
		err = install(os.Args[2], os.Args[3], os.Args[4])
	case len(os.Args) == 3 && os.Args[1] == "dial":
		err = dial(os.Args[2])
	case len(os.Args) == 3 && os.Args[1] == "call":
		err = call(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "child":
		err = child(os.Args[2], os.Args[3])
	default:
		err = fmt.Errorf("usage: standin run LAUNCH [PORT] | install PROGRAM FROM TO | dial PORT | call SOCKET | child MARK KIND")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

// run does what the launch says; inspect listens on the port, 0 on any.
func run(path, port string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	var launch struct {
		Workspace string `json:"workspace"`
		Contexts  struct {
			Script []string `json:"script"`
		} `json:"contexts"`
	}
	if err := json.Unmarshal(text, &launch); err != nil {
		return err
	}
	// As the first process of a container it has to say so, or it would ignore it.
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	atTerm := 143
	for _, line := range launch.Contexts.Script {
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "show":
			fmt.Printf("mode %o\nworkspace %s\nlaunch %s\n", info.Mode().Perm(), launch.Workspace, bytes.TrimSpace(text))
		case "env":
			fmt.Printf("env %s\n", strings.Join(os.Environ(), " "))
		case "write":
			err = write(launch.Workspace, rest)
		case "tree":
			err = tree(rest)
		case "listen":
			_, err = listen(rest)
		case "inspect":
			err = inspect(path, port)
		case "polite":
			atTerm, err = strconv.Atoi(rest)
		case "stubborn":
			signal.Ignore(syscall.SIGTERM)
		case "eat":
			eat()
		case "exit":
			code, _ := strconv.Atoi(rest)
			fmt.Println("leaving")
			os.Exit(code)
		default:
			err = fmt.Errorf("no such word: %s", line)
		}
		if err != nil {
			return err
		}
	}
	fmt.Println("ready")
	<-terminated
	if atTerm != 143 {
		time.Sleep(200 * time.Millisecond) // whoever kills at once is found out
	}
	os.Exit(atTerm)
	return nil
}

func write(workspace, name string) error {
	if err := os.MkdirAll(workspace, 0o755); err != nil {
		return err
	}
	return os.WriteFile(workspace+"/"+name, []byte("written by "+strconv.Itoa(os.Getuid())), 0o644)
}

// tree starts children of all kinds that are hard to find again; none heeds
// SIGTERM.
func tree(args string) error {
	mark, rest, _ := strings.Cut(args, " ")
	kinds := strings.Fields(rest)
	if len(kinds) == 0 {
		kinds = []string{"plain", "session", "bare", "parent"}
	}
	for _, kind := range kinds {
		if err := spawn(mark, kind); err != nil {
			return err
		}
	}
	return nil
}

func spawn(mark, kind string) error {
	cmd := exec.Command("/proc/self/exe", "child", mark, kind)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: kind != "plain"}
	if kind == "bare" {
		cmd.Env = []string{"PATH=/"}
	}
	if kind == "parent" { // ends at once, so that its child loses its parent
		return cmd.Run()
	}
	return cmd.Start()
}

func child(mark, kind string) error {
	if kind == "parent" {
		return spawn(mark, "orphan")
	}
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	fmt.Println("up", kind)
	for {
		time.Sleep(time.Hour)
	}
}

func listen(port string) (net.Addr, error) {
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr(), nil
}

// inspect writes the port beside the launch, as the agent does.
func inspect(launch, on string) error {
	addr, err := listen(on)
	if err != nil {
		return err
	}
	port := strconv.Itoa(addr.(*net.TCPAddr).Port)
	return os.WriteFile(filepath.Join(filepath.Dir(launch), "inspect.port"), []byte(port+"\n"), 0o600)
}

// install copies this program and a launch, as the agent does.
func install(program, from, to string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, f := range []struct {
		from, to string
		mode     os.FileMode
	}{{self, program, 0o555}, {from, to, 0o600}} {
		text, err := os.ReadFile(f.from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(f.to, text, f.mode); err != nil {
			return err
		}
	}
	return nil
}

// call prints what a socket has to say.
func call(socket string) error {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.Copy(os.Stdout, conn)
	return err
}

// dial takes a port, or the file that holds it.
func dial(port string) error {
	if text, err := os.ReadFile(port); err == nil {
		port = strings.TrimSpace(string(text))
	}
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(conn, os.Stdin)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(os.Stdout, conn)
	return err
}

// eat takes memory until there is none left.
func eat() {
	var all [][]byte
	for {
		b := make([]byte, 8<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		all = append(all, b)
	}
}

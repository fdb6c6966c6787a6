package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bug is a small change of production source that takes a protection away.
type Bug struct {
	Name   string
	Breaks string // what it takes away
	Edits  []Edit
}

// Edit replaces a text that occurs once in a file, named from the module's root.
type Edit struct{ File, Old, New string }

// Result is how a bug fared.
type Result struct {
	Bug    Bug
	Seed   uint64 // that caught it; 0: none did
	Fault  string // what the simulator said
	Played uint64 // seeds, the one that caught it included
	Err    error  // the bug could not be planted
}

// Property is the one that broke: S1 … L4, or panic.
func (r Result) Property() string {
	property, _, _ := strings.Cut(r.Fault, " ")
	return strings.TrimSuffix(property, ":")
}

// battery builds and plays simulators. Bugs are planted in copies: the tree
// stays as it is.
type battery struct {
	root  string // of the module
	dir   string // for what is built
	seeds uint64
	sound string // the simulator without a bug
}

func newBattery(ctx context.Context, seeds uint64) (*battery, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "planted-")
	if err != nil {
		return nil, err
	}
	b := &battery{root: root, dir: dir, seeds: seeds}
	if b.sound, err = b.build(ctx, Bug{Name: "sound"}); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *battery) close() error { return os.RemoveAll(b.dir) }

func moduleRoot() (string, error) {
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at, nil
		}
		up := filepath.Dir(at)
		if up == at {
			return "", errors.New("run it inside the module")
		}
		at = up
	}
}

// apply gives the changed text of each file that a bug touches.
func (b *battery) apply(bug Bug) (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range bug.Edits {
		text, ok := changed[e.File]
		if !ok {
			raw, err := os.ReadFile(filepath.Join(b.root, e.File))
			if err != nil {
				return nil, err
			}
			text = string(raw)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("%s: %q occurs %d times in %s, not once: bring the table up to date", bug.Name, e.Old, n, e.File)
		}
		changed[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return changed, nil
}

// build makes the simulator with a bug in it, by way of an overlay.
func (b *battery) build(ctx context.Context, bug Bug) (string, error) {
	changed, err := b.apply(bug)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.dir, bug.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for file, text := range changed {
		to := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			return "", err
		}
		overlay.Replace[filepath.Join(b.root, file)] = to
	}
	raw, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	list, bin := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "sim")
	if err := os.WriteFile(list, raw, 0o644); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-p", "1", "-overlay", list, "-o", bin, "./test/sim")
	cmd.Dir, cmd.Env = b.root, append(os.Environ(), "GOMAXPROCS=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: build: %w\n%s", bug.Name, err, out)
	}
	return bin, nil
}

// hung is how long a bug may play, whatever it does.
const hung = 20 * time.Minute

// play plays n seeds from first, until one breaks a property.
func (b *battery) play(ctx context.Context, bin string, first, n uint64) (seed uint64, fault string, err error) {
	ctx, cancel := context.WithTimeout(ctx, hung)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "-once",
		"-first", strconv.FormatUint(first, 10), "-seeds", strconv.FormatUint(n, 10))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1") // seeds in order, the first fault first
	out, err := cmd.CombinedOutput()
	if err == nil {
		return 0, "", nil
	}
	line, _, _ := strings.Cut(string(out), "\n")
	number, fault, ok := strings.Cut(strings.TrimPrefix(line, "seed "), ": ")
	seed, bad := strconv.ParseUint(number, 10, 64)
	if !ok || bad != nil {
		return 0, "", fmt.Errorf("play: %w\n%s", err, out)
	}
	return seed, fault, nil
}

// plant builds a bug and plays it until a seed catches it that is sound without
// it.
func (b *battery) plant(ctx context.Context, bug Bug) Result {
	r := Result{Bug: bug}
	bin, err := b.build(ctx, bug)
	if err != nil {
		r.Err = err
		return r
	}
	defer func() { _ = os.Remove(bin) }()
	for r.Played < b.seeds {
		seed, fault, err := b.play(ctx, bin, r.Played+1, b.seeds-r.Played)
		if err != nil || seed == 0 {
			r.Played, r.Err = b.seeds, err
			return r
		}
		r.Played = seed
		_, sound, err := b.play(ctx, b.sound, seed, 1)
		if err != nil {
			r.Err = err
			return r
		}
		if sound == "" {
			r.Seed, r.Fault = seed, fault
			return r
		}
	}
	return r
}

// plantAll plants bugs, some side by side, and gives the results in order.
func (b *battery) plantAll(ctx context.Context, bugs []Bug, side int, tell func(Result)) []Result {
	results := make([]Result, len(bugs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range max(side, 1) {
		wg.Go(func() {
			for i := range next {
				results[i] = b.plant(ctx, bugs[i])
				tell(results[i])
			}
		})
	}
	for i := range bugs {
		next <- i
	}
	close(next)
	wg.Wait()
	return results
}

//go:build !linux

package process

import (
	"context"
	"errors"
	"syscall"
)

// This provider needs /proc and pidfds. Elsewhere New refuses, and the rest is
// never reached.

type identity struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
	Boot  string `json:"boot"`
}

type handle struct{}

var errGone = errors.New("process: it ended")

var errSystem = errors.New("workers that are processes need Linux: use Docker (--provider docker)")

func bootID() (string, error) { return "", errSystem }

func (p *Provider) identify(int) (identity, error) { return identity{}, errSystem }
func (p *Provider) alive(identity) bool            { return false }
func (p *Provider) hold(identity) (handle, error)  { return handle{}, errSystem }

func (h handle) close()                      {}
func (h handle) signal(syscall.Signal) error { return errSystem }
func (h handle) wait(context.Context) error  { return errSystem }

func processes() ([]stat, error) { return nil, errSystem }
func marked(int, string) bool    { return false }
func command(int) [][]byte       { return nil }

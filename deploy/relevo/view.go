package main

import (
	"fmt"
	"os"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/pipeline"
)

type plain struct{}

func newView(_ *pipeline.Spec, _ events.RunRequested) view { return plain{} }

func (plain) Event(e events.Envelope)           { fmt.Println(e.Type, e.Subject) }
func (plain) Log(_ events.AttemptRef, p []byte) { os.Stdout.Write(p) }
func (plain) Notice(t string)                   { fmt.Println(t) }
func (plain) Close()                            {}

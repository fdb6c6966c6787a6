package execution_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/domain/execution"
)

func TestEmittedCheck(t *testing.T) {
	ok := execution.Emitted{Index: 1, Type: "com.example.thing.v1", Subject: "é", Data: []byte(`{"a":1}`)}
	for name, c := range map[string]struct {
		spoil func(*execution.Emitted)
		fine  bool
	}{
		"as it is":     {func(*execution.Emitted) {}, true},
		"without data": {func(e *execution.Emitted) { e.Data, e.Subject = nil, "" }, true},
		"as large as": {func(e *execution.Emitted) {
			e.Data = []byte(`"` + strings.Repeat("x", execution.MostEmittedData-2) + `"`)
		}, true},
		"almost ours":    {func(e *execution.Emitted) { e.Type = "dev.relevotion.x" }, true},
		"the last":       {func(e *execution.Emitted) { e.Index = execution.MostEmitted }, true},
		"ours":           {func(e *execution.Emitted) { e.Type = "dev.relevo.x" }, false},
		"ours, in other": {func(e *execution.Emitted) { e.Type = "DEV.Relevo.x" }, false},
		"CDEvents":       {func(e *execution.Emitted) { e.Type = "dev.cdevents.x" }, false},
		"no type":        {func(e *execution.Emitted) { e.Type = "" }, false},
		"blank":          {func(e *execution.Emitted) { e.Type = "a b" }, false},
		"long type":      {func(e *execution.Emitted) { e.Type = strings.Repeat("x", 256) }, false},
		"long subject":   {func(e *execution.Emitted) { e.Subject = strings.Repeat("x", 1025) }, false},
		"a line":         {func(e *execution.Emitted) { e.Subject = "a\nb" }, false},
		"not UTF-8":      {func(e *execution.Emitted) { e.Subject = "\xff" }, false},
		"too large": {func(e *execution.Emitted) {
			e.Data = []byte(`"` + strings.Repeat("x", execution.MostEmittedData-1) + `"`)
		}, false},
		"no JSON":  {func(e *execution.Emitted) { e.Data = []byte("{") }, false},
		"none":     {func(e *execution.Emitted) { e.Index = 0 }, false},
		"too many": {func(e *execution.Emitted) { e.Index = execution.MostEmitted + 1 }, false},
	} {
		e := ok
		c.spoil(&e)
		if err := e.Check(); (err == nil) != c.fine || err != nil && !errors.Is(err, execution.ErrEmitted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

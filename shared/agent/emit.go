package agent

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/relevo-ci/relevo/shared/domain/execution"
	"github.com/relevo-ci/relevo/shared/domain/expression"
)

// emit makes the event of a step; it is told with the step's end.
func (j *job) emit(s *step, scope *expression.Env) error {
	e := execution.Emitted{Index: j.emitted + 1}
	var err error
	if e.Type, err = s.Emit.Type.Eval(scope); err != nil {
		return fmt.Errorf("emit: type: %w", err)
	}
	if s.Emit.Subject != nil {
		if e.Subject, err = s.Emit.Subject.Eval(scope); err != nil {
			return fmt.Errorf("emit: subject: %w", err)
		}
	}
	if s.Emit.Data != nil {
		if e.Data, err = j.data(s, scope); err != nil {
			return fmt.Errorf("emit: data: %w", err)
		}
	}
	if err := e.Check(); err != nil {
		return fmt.Errorf("emit: %w", err)
	}
	// Events travel in the clear.
	for what, text := range map[string]string{"type": e.Type, "subject": e.Subject, "data": string(e.Data)} {
		if j.masks.Text(text) != text {
			return fmt.Errorf("emit: the event's %s may hold a secret", what)
		}
	}
	s.exit = 0
	if j.launch.Untrusted {
		j.journal.remark("==> not emitted: the code of this run is a fork's")
		return nil
	}
	j.emitted++
	s.emitted = &e
	j.journal.remark("==> emitted %s", strings.TrimSpace(e.Type+" "+e.Subject))
	return nil
}

// data is the event's payload, as JSON; its fields are sorted.
func (j *job) data(s *step, scope *expression.Env) (json.RawMessage, error) {
	v, err := s.Emit.Data.Eval(scope, execution.MostEmittedData)
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

package telemetry_test

import (
	"testing"

	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/semconv/v1.41.0/cicdconv"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/telemetry"
)

// TestNamesAreThoseOfTheConventions, which the domain does not import.
func TestNamesAreThoseOfTheConventions(t *testing.T) {
	for ours, theirs := range map[string]string{
		telemetry.ActionName:    string(semconv.CICDPipelineActionNameKey),
		telemetry.PipelineName:  string(semconv.CICDPipelineNameKey),
		telemetry.RunID:         string(semconv.CICDPipelineRunIDKey),
		telemetry.RunURL:        string(semconv.CICDPipelineRunURLFullKey),
		telemetry.RunState:      string(semconv.CICDPipelineRunStateKey),
		telemetry.RunResult:     string(semconv.CICDPipelineResultKey),
		telemetry.TaskName:      string(semconv.CICDPipelineTaskNameKey),
		telemetry.TaskRunID:     string(semconv.CICDPipelineTaskRunIDKey),
		telemetry.TaskRunResult: string(semconv.CICDPipelineTaskRunResultKey),
		telemetry.TaskRunURL:    string(semconv.CICDPipelineTaskRunURLFullKey),
		telemetry.WorkerID:      string(semconv.CICDWorkerIDKey),
		telemetry.WorkerName:    string(semconv.CICDWorkerNameKey),
		telemetry.ErrorType:     string(semconv.ErrorTypeKey),
		telemetry.Provider:      string(semconv.VCSProviderNameKey),
		telemetry.Owner:         string(semconv.VCSOwnerNameKey),
		telemetry.Repository:    string(semconv.VCSRepositoryNameKey),
		telemetry.RepositoryURL: string(semconv.VCSRepositoryURLFullKey),
		telemetry.HeadName:      string(semconv.VCSRefHeadNameKey),
		telemetry.HeadRevision:  string(semconv.VCSRefHeadRevisionKey),
		telemetry.HeadType:      string(semconv.VCSRefHeadTypeKey),
		telemetry.BaseName:      string(semconv.VCSRefBaseNameKey),
		telemetry.BaseType:      string(semconv.VCSRefBaseTypeKey),
		telemetry.ChangeID:      string(semconv.VCSChangeIDKey),
		telemetry.RunDuration:   cicdconv.PipelineRunDuration{}.Name(),
		telemetry.Success:       semconv.CICDPipelineResultSuccess.Value.AsString(),
		telemetry.Failure:       semconv.CICDPipelineResultFailure.Value.AsString(),
		telemetry.Error:         semconv.CICDPipelineResultError.Value.AsString(),
		telemetry.TimedOut:      semconv.CICDPipelineResultTimeout.Value.AsString(),
		telemetry.Cancellation:  semconv.CICDPipelineResultCancellation.Value.AsString(),
		telemetry.Skip:          semconv.CICDPipelineResultSkip.Value.AsString(),
	} {
		if ours != theirs {
			t.Errorf("%q, OpenTelemetry says %q", ours, theirs)
		}
	}
}

func TestResults(t *testing.T) {
	for verdict, want := range map[events.Verdict]string{
		events.Succeeded: "success", events.Failed: "failure", events.Infra: "error", events.Timeout: "timeout",
		events.Cancelled: "cancellation", events.Rejected: "error", "": "",
	} {
		if got := telemetry.ResultOf(verdict); got != want {
			t.Errorf("%s: %q, want %q", verdict, got, want)
		}
	}
}

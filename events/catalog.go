package events

import "slices"

// Context names a bounded context; it is the third part of an event type.
type Context string

// The contexts.
const (
	Pipeline  Context = "pipeline"
	Scheduler Context = "scheduler"
	Provider  Context = "provider"
	Execution Context = "execution"
	Telemetry Context = "telemetry"
	Access    Context = "access"
	Artifact  Context = "artifact"
	Triggers  Context = "trigger"
)

// The event types.
const (
	TypeRunRequested        Type = "dev.relevo.pipeline.run.requested.v1"
	TypeRunStarted          Type = "dev.relevo.pipeline.run.started.v1"
	TypeRunCompleted        Type = "dev.relevo.pipeline.run.completed.v1"
	TypeRunFailed           Type = "dev.relevo.pipeline.run.failed.v1"
	TypeRunCancelled        Type = "dev.relevo.pipeline.run.cancelled.v1"
	TypeJobRequested        Type = "dev.relevo.pipeline.job.requested.v1"
	TypeJobScheduled        Type = "dev.relevo.pipeline.job.scheduled.v1"
	TypeJobStarted          Type = "dev.relevo.pipeline.job.started.v1"
	TypeJobCompleted        Type = "dev.relevo.pipeline.job.completed.v1"
	TypeJobFailed           Type = "dev.relevo.pipeline.job.failed.v1"
	TypeJobCancelled        Type = "dev.relevo.pipeline.job.cancelled.v1"
	TypeJobSkipped          Type = "dev.relevo.pipeline.job.skipped.v1"
	TypeJobRetried          Type = "dev.relevo.pipeline.job.retried.v1"
	TypeCancelRequested     Type = "dev.relevo.pipeline.cancel.requested.v1"
	TypeConcurrencyAcquired Type = "dev.relevo.pipeline.concurrency.acquired.v1"
	TypeConcurrencyReleased Type = "dev.relevo.pipeline.concurrency.released.v1"
	TypeAwaitRequested      Type = "dev.relevo.pipeline.await.requested.v1"
	TypeAwaitMatched        Type = "dev.relevo.pipeline.await.matched.v1"
	TypeOfferCreated        Type = "dev.relevo.scheduler.offer.created.v1"
	TypeOfferWithdrawn      Type = "dev.relevo.scheduler.offer.withdrawn.v1"
	TypeOfferExpired        Type = "dev.relevo.scheduler.offer.expired.v1"
	TypeAssignmentCreated   Type = "dev.relevo.scheduler.assignment.created.v1"
	TypeAssignmentAccepted  Type = "dev.relevo.scheduler.assignment.accepted.v1"
	TypeAssignmentRefused   Type = "dev.relevo.scheduler.assignment.refused.v1"
	TypeAssignmentReleased  Type = "dev.relevo.scheduler.assignment.released.v1"
	TypeCapacityUpdated     Type = "dev.relevo.scheduler.capacity.updated.v1"
	TypeWorkerCreated       Type = "dev.relevo.provider.worker.created.v1"
	TypeWorkerTerminated    Type = "dev.relevo.provider.worker.terminated.v1"
	TypeWorkerFailed        Type = "dev.relevo.provider.worker.failed.v1"
	TypeStepStarted         Type = "dev.relevo.execution.step.started.v1"
	TypeStepCompleted       Type = "dev.relevo.execution.step.completed.v1"
	TypeStepFailed          Type = "dev.relevo.execution.step.failed.v1"
	TypeStepSkipped         Type = "dev.relevo.execution.step.skipped.v1"
	TypeJobEnded            Type = "dev.relevo.execution.job.ended.v1"
	TypeLogAppended         Type = "dev.relevo.execution.log.appended.v1"
	TypeEventEmitted        Type = "dev.relevo.execution.event.emitted.v1"
	TypeMetricEmitted       Type = "dev.relevo.telemetry.metric.emitted.v1"
	TypeTraceRecorded       Type = "dev.relevo.telemetry.trace.recorded.v1"
	TypeClockTicked         Type = "dev.relevo.telemetry.clock.ticked.v1"
	TypeAuthGranted         Type = "dev.relevo.access.auth.granted.v1"
	TypeAuthRevoked         Type = "dev.relevo.access.auth.revoked.v1"
	TypeUIRecorded          Type = "dev.relevo.access.ui.recorded.v1"
	TypeArtifactPublished   Type = "dev.relevo.artifact.artifact.published.v1"
	TypeArtifactEvicted     Type = "dev.relevo.artifact.artifact.evicted.v1"
	TypeCachePublished      Type = "dev.relevo.artifact.cache.published.v1"
	TypeCacheEvicted        Type = "dev.relevo.artifact.cache.evicted.v1"
	TypeDeliveryReceived    Type = "dev.relevo.trigger.delivery.received.v1"
	TypeStatusRequested     Type = "dev.relevo.trigger.status.requested.v1"
	TypeChangeReceived      Type = "dev.relevo.trigger.change.received.v1"
	TypeNewsRequested       Type = "dev.relevo.trigger.news.requested.v1"
)

// Entry is one row of the Catalog.
type Entry struct {
	Type    Type
	Context Context
	// New gives an empty payload, a pointer to decode into.
	New func() any
}

// Catalog lists every event of the published language, context by context.
// Adding an event means adding a type, a row here and an example; `make gen`
// does the rest.
func Catalog() []Entry { return slices.Clone(catalog) }

// Find looks an event type up.
func Find(t Type) (Entry, bool) {
	for _, e := range catalog {
		if e.Type == t {
			return e, true
		}
	}
	return Entry{}, false
}

func row[T Data](c Context) Entry {
	var zero T
	return Entry{Type: zero.EventType(), Context: c, New: func() any { return new(T) }}
}

var catalog = []Entry{
	row[RunRequested](Pipeline),
	row[RunStarted](Pipeline),
	row[RunCompleted](Pipeline),
	row[RunFailed](Pipeline),
	row[RunCancelled](Pipeline),
	row[JobRequested](Pipeline),
	row[JobScheduled](Pipeline),
	row[JobStarted](Pipeline),
	row[JobCompleted](Pipeline),
	row[JobFailed](Pipeline),
	row[JobCancelled](Pipeline),
	row[JobSkipped](Pipeline),
	row[JobRetried](Pipeline),
	row[CancelRequested](Pipeline),
	row[ConcurrencyAcquired](Pipeline),
	row[ConcurrencyReleased](Pipeline),
	row[AwaitRequested](Pipeline),
	row[AwaitMatched](Pipeline),
	row[OfferCreated](Scheduler),
	row[OfferWithdrawn](Scheduler),
	row[OfferExpired](Scheduler),
	row[AssignmentCreated](Scheduler),
	row[AssignmentAccepted](Scheduler),
	row[AssignmentRefused](Scheduler),
	row[AssignmentReleased](Scheduler),
	row[CapacityUpdated](Scheduler),
	row[WorkerCreated](Provider),
	row[WorkerTerminated](Provider),
	row[WorkerFailed](Provider),
	row[StepStarted](Execution),
	row[StepCompleted](Execution),
	row[StepFailed](Execution),
	row[StepSkipped](Execution),
	row[JobEnded](Execution),
	row[LogAppended](Execution),
	row[EventEmitted](Execution),
	row[MetricEmitted](Telemetry),
	row[TraceRecorded](Telemetry),
	row[ClockTicked](Telemetry),
	row[AuthGranted](Access),
	row[AuthRevoked](Access),
	row[UIRecorded](Access),
	row[ArtifactPublished](Artifact),
	row[ArtifactEvicted](Artifact),
	row[CachePublished](Artifact),
	row[CacheEvicted](Artifact),
	row[DeliveryReceived](Triggers),
	row[StatusRequested](Triggers),
	row[ChangeReceived](Triggers),
	row[NewsRequested](Triggers),
}

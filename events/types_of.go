package events

// The type of each event, beside its payload.

// EventType is RunRequested's CloudEvents type.
func (RunRequested) EventType() Type { return TypeRunRequested }

// EventType is RunStarted's CloudEvents type.
func (RunStarted) EventType() Type { return TypeRunStarted }

// EventType is RunCompleted's CloudEvents type.
func (RunCompleted) EventType() Type { return TypeRunCompleted }

// EventType is RunFailed's CloudEvents type.
func (RunFailed) EventType() Type { return TypeRunFailed }

// EventType is RunCancelled's CloudEvents type.
func (RunCancelled) EventType() Type { return TypeRunCancelled }

// EventType is JobRequested's CloudEvents type.
func (JobRequested) EventType() Type { return TypeJobRequested }

// EventType is JobScheduled's CloudEvents type.
func (JobScheduled) EventType() Type { return TypeJobScheduled }

// EventType is JobStarted's CloudEvents type.
func (JobStarted) EventType() Type { return TypeJobStarted }

// EventType is JobCompleted's CloudEvents type.
func (JobCompleted) EventType() Type { return TypeJobCompleted }

// EventType is JobFailed's CloudEvents type.
func (JobFailed) EventType() Type { return TypeJobFailed }

// EventType is JobCancelled's CloudEvents type.
func (JobCancelled) EventType() Type { return TypeJobCancelled }

// EventType is JobSkipped's CloudEvents type.
func (JobSkipped) EventType() Type { return TypeJobSkipped }

// EventType is JobRetried's CloudEvents type.
func (JobRetried) EventType() Type { return TypeJobRetried }

// EventType is CancelRequested's CloudEvents type.
func (CancelRequested) EventType() Type { return TypeCancelRequested }

// EventType is ConcurrencyAcquired's CloudEvents type.
func (ConcurrencyAcquired) EventType() Type { return TypeConcurrencyAcquired }

// EventType is ConcurrencyReleased's CloudEvents type.
func (ConcurrencyReleased) EventType() Type { return TypeConcurrencyReleased }

// EventType is OfferCreated's CloudEvents type.
func (OfferCreated) EventType() Type { return TypeOfferCreated }

// EventType is OfferWithdrawn's CloudEvents type.
func (OfferWithdrawn) EventType() Type { return TypeOfferWithdrawn }

// EventType is OfferExpired's CloudEvents type.
func (OfferExpired) EventType() Type { return TypeOfferExpired }

// EventType is AssignmentCreated's CloudEvents type.
func (AssignmentCreated) EventType() Type { return TypeAssignmentCreated }

// EventType is AssignmentAccepted's CloudEvents type.
func (AssignmentAccepted) EventType() Type { return TypeAssignmentAccepted }

// EventType is AssignmentRefused's CloudEvents type.
func (AssignmentRefused) EventType() Type { return TypeAssignmentRefused }

// EventType is AssignmentReleased's CloudEvents type.
func (AssignmentReleased) EventType() Type { return TypeAssignmentReleased }

// EventType is CapacityUpdated's CloudEvents type.
func (CapacityUpdated) EventType() Type { return TypeCapacityUpdated }

// EventType is WorkerCreated's CloudEvents type.
func (WorkerCreated) EventType() Type { return TypeWorkerCreated }

// EventType is WorkerTerminated's CloudEvents type.
func (WorkerTerminated) EventType() Type { return TypeWorkerTerminated }

// EventType is WorkerFailed's CloudEvents type.
func (WorkerFailed) EventType() Type { return TypeWorkerFailed }

// EventType is StepStarted's CloudEvents type.
func (StepStarted) EventType() Type { return TypeStepStarted }

// EventType is StepCompleted's CloudEvents type.
func (StepCompleted) EventType() Type { return TypeStepCompleted }

// EventType is StepFailed's CloudEvents type.
func (StepFailed) EventType() Type { return TypeStepFailed }

// EventType is StepSkipped's CloudEvents type.
func (StepSkipped) EventType() Type { return TypeStepSkipped }

// EventType is JobEnded's CloudEvents type.
func (JobEnded) EventType() Type { return TypeJobEnded }

// EventType is LogAppended's CloudEvents type.
func (LogAppended) EventType() Type { return TypeLogAppended }

// EventType is MetricEmitted's CloudEvents type.
func (MetricEmitted) EventType() Type { return TypeMetricEmitted }

// EventType is TraceRecorded's CloudEvents type.
func (TraceRecorded) EventType() Type { return TypeTraceRecorded }

// EventType is ClockTicked's CloudEvents type.
func (ClockTicked) EventType() Type { return TypeClockTicked }

// EventType is AuthGranted's CloudEvents type.
func (AuthGranted) EventType() Type { return TypeAuthGranted }

// EventType is AuthRevoked's CloudEvents type.
func (AuthRevoked) EventType() Type { return TypeAuthRevoked }

// EventType is UIRecorded's CloudEvents type.
func (UIRecorded) EventType() Type { return TypeUIRecorded }

// EventType is ArtifactPublished's CloudEvents type.
func (ArtifactPublished) EventType() Type { return TypeArtifactPublished }

// EventType is ArtifactEvicted's CloudEvents type.
func (ArtifactEvicted) EventType() Type { return TypeArtifactEvicted }

// EventType is CachePublished's CloudEvents type.
func (CachePublished) EventType() Type { return TypeCachePublished }

// EventType is CacheEvicted's CloudEvents type.
func (CacheEvicted) EventType() Type { return TypeCacheEvicted }

// EventType is DeliveryReceived's CloudEvents type.
func (DeliveryReceived) EventType() Type { return TypeDeliveryReceived }

// EventType is StatusRequested's CloudEvents type.
func (StatusRequested) EventType() Type { return TypeStatusRequested }

// EventType is ChangeReceived's CloudEvents type.
func (ChangeReceived) EventType() Type { return TypeChangeReceived }

// EventType is NewsRequested's CloudEvents type.
func (NewsRequested) EventType() Type { return TypeNewsRequested }

// EventType is AwaitRequested's CloudEvents type.
func (AwaitRequested) EventType() Type { return TypeAwaitRequested }

// EventType is AwaitMatched's CloudEvents type.
func (AwaitMatched) EventType() Type { return TypeAwaitMatched }

// EventType is EventEmitted's CloudEvents type.
func (EventEmitted) EventType() Type { return TypeEventEmitted }

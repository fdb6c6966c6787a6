package main

// said is a value and why it is that one; the reason stands beside it in the
// manifest.
type said[T any] struct {
	value T
	why   string
}

// shape is how a Service is sized. What is nil is fallback's.
type shape struct {
	concurrency *said[int64]  // requests that a pod takes at a time
	timeout     *said[int64]  // seconds that a request may take
	most        *said[int]    // pods
	window      *said[string] // over which Knative averages the load
	keep        *said[string] // how long pods stay once the load is less
	delivery    *said[retries]
}

// retries are a Trigger's own; the others have the Broker's, in
// base/platform/broker.yaml.
type retries struct {
	tries   int32
	backoff string // ISO 8601; it doubles
	timeout string // ISO 8601, of one delivery
}

func because[T any](value T, why string) *said[T] { return &said[T]{value, why} }

// removal lets Terminate wait for its worker, whose grace is part of it.
func removal() shape {
	return shape{
		concurrency: because[int64](20, "each removal waits for its worker to end"),
		timeout:     because[int64](180, "a worker has its grace to end in"),
		delivery:    because(retries{10, "PT1S", "PT3M"}, "as long as the Service takes"),
	}
}

// asking is for those that wait for a git forge.
var asking = shape{
	concurrency: because[int64](20, "it waits for a forge, and bodies of deliveries are long"),
	timeout:     because[int64](120, "a forge may take ten seconds for an answer, and is asked several times"),
	delivery:    because(retries{10, "PT1S", "PT2M"}, "as long as the Service takes"),
}

// fallback is what a function has that says nothing else.
var fallback = shape{
	concurrency: because[int64](50, "a handler mostly waits for Redis"),
	timeout:     because[int64](60, "a handler takes milliseconds: a stuck one is soon given up"),
	most:        because(10, "bounds the connections to Redis"),
}

// shapes are those of functions, and of contexts that are fused, by name.
var shapes = map[string]shape{
	"api": {
		concurrency: because[int64](500, "streams of events and logs mostly wait"),
		timeout:     because[int64](300, "a stream ends itself after 240 s, and its client resumes"),
		keep:        because("1m", "people who look at a run click again"),
	},
	"console": {
		concurrency: because[int64](500, "streams mostly wait"),
		timeout:     because[int64](300, "a stream ends itself after 230 s, and its browser resumes"),
		keep:        because("1m", "people who look at a run click again"),
	},
	"worker": {
		concurrency: because[int64](200, "every running worker reports, at least each 10 s"),
		most:        because(20, "every running worker reports, at least each 10 s"),
	},
	"clock-ticked": {
		concurrency: because[int64](1, "a second tick would find the same entries due"),
		timeout:     because[int64](300, "a tick may have many workers to remove"),
		most:        because(1, "a second tick would find the same entries due"),
		window:      because("6s", "with the usual 60 s a tick a minute would keep its pod awake for ever"),
	},
	"webhook": {
		concurrency: because[int64](50, "a delivery is looked at and put away in milliseconds"),
		most:        because(5, "deliveries come one by one, and a pod takes many"),
	},
	"delivery-received": asking,
	"status-requested":  asking,
	"trigger":           asking,
	"event-recorded": {
		concurrency: because[int64](200, "it hears every event"),
		delivery:    because(retries{3, "PT1S", "PT30S"}, "a feed that lacks an event is no reason to try for minutes"),
	},
	"access": {
		concurrency: because[int64](200, "it hears every event"),
	},
	"assignment-created": {
		concurrency: because[int64](20, "each launch asks the cluster's API server several times"),
		timeout:     because[int64](120, "a launch waits for the cluster's API server"),
		most:        because(5, "each launch asks the cluster's API server several times"),
		delivery:    because(retries{10, "PT1S", "PT2M"}, "as long as the Service takes"),
	},
	"job-completed": removal(),
	"job-failed":    removal(),
	"job-retried":   removal(),
	"job-cancelled": removal(),
	"provider":      removal(),
}

// shapeOf is the shape that name has in the end.
func shapeOf(name string) shape {
	s := shapes[name]
	if s.concurrency == nil {
		s.concurrency = fallback.concurrency
	}
	if s.timeout == nil {
		s.timeout = fallback.timeout
	}
	if s.most == nil {
		s.most = fallback.most
	}
	return s
}

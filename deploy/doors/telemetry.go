package doors

import (
	"context"

	"github.com/relevo-ci/relevo/config"
	"github.com/relevo-ci/relevo/functions"
	runcompletedlogs "github.com/relevo-ci/relevo/functions/run-completed-logs"
	runcompletedtelemetry "github.com/relevo-ci/relevo/functions/run-completed-telemetry"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/logs/cold"
	"github.com/relevo-ci/relevo/shared/telemetry"
)

// Telling are the functions that tell a collector of runs; none where none is set.
func Telling(c config.Telemetry, d functions.Deps) []fn.Function {
	if c.Endpoint == "" {
		return nil
	}
	headers, err := c.HeaderMap()
	if err != nil { // it was looked at when the settings were read
		panic(err)
	}
	exporter := telemetry.New(telemetry.Settings{Endpoint: c.Endpoint, Headers: headers})
	return []fn.Function{runcompletedtelemetry.New(d.Runs, d.Doors, d.Public, exporter.Export)}
}

// Moving are the functions that move logs; none where they stay where they are.
func Moving(kept logs.Store) []fn.Function {
	if c, ok := kept.(*cold.Store); ok {
		return []fn.Function{runcompletedlogs.New(c.Tidy)}
	}
	return nil
}

// Cold puts a bucket, or a folder, in front of a store, and says how to close it.
func Cold(ctx context.Context, where string, hot logs.Hot) (logs.Store, func() error, error) {
	bucket, err := cold.Open(ctx, where)
	if err != nil {
		return hot, func() error { return nil }, err
	}
	return cold.New(hot, bucket, cold.Options{}), bucket.Close, nil
}

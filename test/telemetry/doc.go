// Package telemetry sends a real run's trace to a real OpenTelemetry collector.
package telemetry

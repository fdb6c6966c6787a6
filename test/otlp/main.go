// Command otlp is an OpenTelemetry collector of one receiver: what it takes by
// OTLP over HTTP it writes to standard output as OTLP's JSON, a request a line.
// The first line is the address that it listens on: a port of this machine alone,
// or of the address that it is given.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configgrpc"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "otlp:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	address, err := free(append(os.Args[1:], "127.0.0.1")[0])
	if err != nil {
		return err
	}
	factory := otlpreceiver.NewFactory()
	c := factory.CreateDefaultConfig().(*otlpreceiver.Config)
	c.Protocols.GRPC = configoptional.None[configgrpc.ServerConfig]()
	http := c.Protocols.HTTP.GetOrInsertDefault()
	http.ServerConfig.NetAddr.Endpoint = address
	var mu sync.Mutex
	sink, err := consumer.NewTraces(func(_ context.Context, t ptrace.Traces) error {
		text, err := (&ptrace.JSONMarshaler{}).MarshalTraces(t)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		_, err = fmt.Printf("%s\n", text)
		return err
	})
	if err != nil {
		return err
	}
	settings := receiver.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	r, err := factory.CreateTraces(ctx, settings, c, sink)
	if err != nil {
		return err
	}
	if err := r.Start(ctx, componenttest.NewNopHost()); err != nil {
		return err
	}
	fmt.Println("http://" + address)
	<-ctx.Done()
	return r.Shutdown(context.WithoutCancel(ctx))
}

// free finds a port of an address of this machine that nobody listens on.
func free(host string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

package agent

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/relevo-ci/relevo/shared/agent/mask"
	"github.com/relevo-ci/relevo/shared/agent/spool"
)

// collector is a sink that many goroutines may look into.
type collector struct {
	bytes.Buffer
	count atomic.Int64
}

func (c *collector) take(p []byte) error {
	c.Write(p)
	c.count.Add(int64(len(p)))
	return nil
}

func TestSettleSeesAllThatWasWritten(t *testing.T) {
	for n := range 200 {
		var c collector
		o, file, err := newOutput(&mask.Set{}, c.take, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Repeat("x", n*997)
		go func() {
			file.WriteString(want)
			file.WriteString("::half a line")
			c.count.Add(1 << 40)
		}()
		for c.count.Load() < 1<<40 {
		}
		o.settle() // the writer lives on
		if got := c.String(); got != want+"::half a line" {
			t.Fatalf("%d of %d bytes are there", len(got), len(want))
		}
		file.WriteString("later")
		file.Close()
		<-o.done
		o.settle()
		o.end()
		if got := c.String(); got != want+"::half a line"+"later" {
			t.Fatalf("%q", got[len(want):])
		}
	}
}

func TestEndDoesNotWaitForWriters(t *testing.T) {
	var c collector
	o, file, err := newOutput(&mask.Set{}, c.take, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	file.WriteString("some")
	o.end()
	if c.String() != "some" {
		t.Errorf("%q", c.String())
	}
}

func TestClosedSpoolEndsTheOutput(t *testing.T) {
	s := spool.New(t.TempDir(), 10)
	j := &journal{spool: s, masks: &mask.Set{}}
	o, file, err := newOutput(j.masks, j.raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	go file.Write(make([]byte, 100_000))
	s.Close()
	<-o.done
	o.end()
	file.Close()
}

func BenchmarkOutput(b *testing.B) {
	for name, secrets := range map[string][]string{"plain": nil, "masked": {"hunter2-correct-horse"}} {
		b.Run(name, func(b *testing.B) {
			s := spool.New(b.TempDir(), 64<<20)
			j := &journal{spool: s, masks: &mask.Set{}}
			if err := j.masks.Add(secrets...); err != nil {
				b.Fatal(err)
			}
			o, file, err := newOutput(j.masks, j.raw, nil)
			if err != nil {
				b.Fatal(err)
			}
			go func() { // a control plane that is never behind
				buf := make([]byte, 1<<20)
				for range s.Grown() {
					base, end := s.Bounds()
					s.ReadAt(buf, base)
					s.Acknowledge(end)
				}
			}()
			text := bytes.Repeat([]byte("compiling module::path of things, 12 warnings\n"), 2000)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				file.Write(text)
			}
			file.Close()
			<-o.done
		})
	}
}

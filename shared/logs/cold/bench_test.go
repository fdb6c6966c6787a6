package cold_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/logs"
	"github.com/relevo-ci/relevo/shared/logs/cold"
)

// BenchmarkLastLineOfAMillion is what a viewer asks for that jumps to the end of a
// log of a million lines, of a store that remembers nothing of it.
func BenchmarkLastLineOfAMillion(b *testing.B) {
	const lines = 1_000_000
	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, "line %d of a log\n", i+1)
	}
	hot := logs.NewMemory(1 << 30)
	bucket, err := cold.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer bucket.Close()
	s := cold.New(hot, bucket, cold.Options{})
	if _, err := s.Append(b.Context(), ref("a"), 0, []byte(text.String())); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(b.Context(), ref("a"), logs.Present); err != nil {
		b.Fatal(err)
	}
	if n, err := s.Tidy(b.Context(), 1); n != 1 || err != nil {
		b.Fatal(n, err)
	}
	for b.Loop() {
		s := cold.New(hot, bucket, cold.Options{})
		index, err := s.Lines(b.Context(), ref("a"))
		if err != nil || index.Count != lines {
			b.Fatal(index.Count, err)
		}
		_, at := index.Before(lines)
		got := 0
		if err := logs.Each(b.Context(), s, ref("a"), at, func(data []byte, _ *logs.Gap) (bool, error) {
			got += strings.Count(string(data), "\n")
			return true, nil
		}); err != nil || got != logs.Every {
			b.Fatal(got, err)
		}
	}
}

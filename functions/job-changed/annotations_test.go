package jobchanged_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/relevo-ci/relevo/shared/provider"
)

// TestAnnotationsAreTheProviders holds what is read here to what the provider
// writes: by the same constants, or by the same words.
func TestAnnotationsAreTheProviders(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "providers", "kubernetes", "labels.go"))
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]string{
		provider.AnnotationInstallation: "provider.AnnotationInstallation", provider.AnnotationWorker: "provider.AnnotationWorker",
		provider.AnnotationFence: "provider.AnnotationFence", provider.AnnotationRun: "provider.AnnotationRun",
		provider.AnnotationJob: "provider.AnnotationJob", provider.AnnotationAttempt: "provider.AnnotationAttempt",
		provider.AnnotationPool: "provider.AnnotationPool", provider.AnnotationAssignment: "provider.AnnotationAssignment",
	}
	for word, constant := range ours {
		if text := string(raw); !strings.Contains(text, strconv.Quote(word)) && !strings.Contains(text, constant) {
			t.Errorf("the provider does not write %s", word)
		}
	}
	for _, word := range regexp.MustCompile(`"relevo\.dev/[a-z]+"`).FindAllString(string(raw), -1) {
		if ours[strings.Trim(word, `"`)] == "" {
			t.Errorf("the provider writes %s, which nobody reads", word)
		}
	}
}

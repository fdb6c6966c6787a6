package cesql_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/relevo-ci/relevo/shared/cesql"
)

func pushed() event.Event {
	e := event.New()
	e.SetID("1")
	e.SetType("com.example.deployed")
	e.SetSource("https://example.com/shop")
	e.SetSubject("it's 100% v1")
	e.SetTime(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	e.SetExtension("stage", "prod")
	e.SetExtension("percent", 7)
	return e
}

func TestMatches(t *testing.T) {
	for filter, want := range map[string]bool{
		"TRUE":                          true,
		"false":                         false,
		"stage = 'prod'":                true,
		"STAGE = \"prod\"":              true,
		"stage = 'test' OR percent > 5": true,
		"percent = '7'":                 true,
		"percent + 1 = 8":               true,
		"subject LIKE '%v1'":            true,
		`subject LIKE 'it\'s 100\% %'`:  true,
		"subject LIKE 'v_'":             false,
		"source IN ('x', 'https://example.com/shop')": true,
		"NOT EXISTS branch":                           true,
		"branch = 'main'":                             false, // it has no such attribute
		"stage":                                       false, // no boolean
		"'true'":                                      true,
		"stage = 'prod' AND (percent < 5 OR type LIKE 'com.%')": true,
		"LENGTH(stage) = 4": true,
	} {
		f, err := cesql.Parse(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		if got, err := f.Matches(pushed()); got != want {
			t.Errorf("%s: %v (%v), want %v", filter, got, err, want)
		}
	}
	if ok, err := (cesql.Filter{}).Matches(pushed()); !ok || err != nil {
		t.Errorf("the zero filter: %v, %v", ok, err)
	}
}

func TestWrong(t *testing.T) {
	for filter, want := range map[string]string{
		"":                                 "it is empty (at column 1)",
		" ":                                "it is empty (at column 1)",
		"stage = ":                         "it breaks off (at column 9)",
		"stage == 'prod'":                  `"=" does not belong here (at column 8)`,
		"stage = 'prod":                    "a quote is not closed (at column 9)",
		"stage = prod-eu!":                 "this is no part of the language; text needs quotes (at column 16)",
		"data.sha = 'x'":                   "this is no part of the language; text needs quotes (at column 5)",
		"ünder = 1":                        "this is no part of the language; text needs quotes (at column 1)",
		"stage = 'prod' stage":             `"stage" does not belong here (at column 16)`,
		"a IN ()":                          `")" does not belong here (at column 7)`,
		"percent > 99999999999":            "the number 99999999999 is out of range (at column 11)",
		"stage LIKE subject":               `"subject" does not belong here (at column 12)`,
		strings.Repeat("(", 50) + "1":      "nested more than 32 levels deep (at column 33)",
		"a" + strings.Repeat(" OR a", 300): "a filter has at most 512 words (at column 1281)",
		strings.Repeat("a", 5000):          "a filter has at most 4096 bytes (at column 4097)",
	} {
		f, err := cesql.Parse(filter)
		switch {
		case err == nil:
			t.Errorf("%.40s is accepted: %v", filter, f)
		case err.Error() != want || cesql.Wrong(err) == nil:
			t.Errorf("%.40s: %q, want %q", filter, err, want)
		}
	}
}

// FuzzParse holds that no text makes the parser or the evaluator fall over, and
// that what is wrong is wrong within the text.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"TRUE", "stage = 'prod' AND percent > 5", "NOT EXISTS x", "a IN ('b', 2)", "ABS(-1) / 0 % 0", "x LIKE '\\%_%'",
		"CONCAT_WS(',', a, b)", "SUBSTRING('abc', 0)", "-----1", "'\\'", "LEFT('x', -1)", "a <> b XOR NOT c", "INT('x')",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := cesql.Parse(text)
		if err != nil {
			if wrong := cesql.Wrong(err); wrong == nil || wrong.Offset < 0 || wrong.Offset > len(text) {
				t.Fatalf("%q is wrong at no place: %v", text, err)
			}
			return
		}
		first, _ := filter.Matches(pushed())
		if again, _ := filter.Matches(pushed()); first != again {
			t.Fatalf("%q is satisfied and is not", text)
		}
	})
}

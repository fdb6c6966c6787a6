package console

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestReadInputs(t *testing.T) {
	for text, want := range map[string]map[string]any{
		"": nil, " \n": nil,
		"where: there":                        {"where": "there"},
		"a: 1\r\n\r\n b :  x: y \n":           {"a": "1", "b": "x: y"},
		`said: "two\nlines"` + "\nempty:":     {"said": "two\nlines", "empty": ""},
		`{"n": 1, "yes": true}`:               {"n": 1.0, "yes": true},
		"quoted: \"not closed\nurl: http://x": {"quoted": "\"not closed", "url": "http://x"},
	} {
		got, err := readInputs(text)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"no colon", ": no name", "{", "a: 1\nb"} {
		if got, err := readInputs(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// FuzzReadInputs: what is written for inputs is read as them.
func FuzzReadInputs(f *testing.F) {
	f.Add("where", "there")
	f.Add("a", "\"two\nlines")
	f.Fuzz(func(t *testing.T, name, value string) {
		if _, err := readInputs(name + ": " + value); err != nil && !strings.Contains(err.Error(), "inputs") {
			t.Error(err)
		}
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" || name == "" || strings.TrimSpace(value) != value || strings.HasPrefix(value, `"`) || strings.ToValidUTF8(value, "") != value {
			return
		}
		got, err := readInputs(inputLines(map[string]any{name: value}))
		if err != nil || got[name] != value {
			t.Errorf("%q comes back as %q, %v", value, got[name], err)
		}
	})
}

// knowing is an api that knows who asks, and what they may.
func knowing(permissions string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body := map[string]string{
			"/v1/me":        `{"name":"ana","via":"session","roles":[{"project":"github/acme/web","role":"x"}],"permissions":[` + permissions + `]}`,
			"/v1/pipelines": `{"runs":[]}`,
		}[r.URL.Path]
		if body == "" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(body))
	})
}

// TestWhoMayRun: others see neither the button nor the page.
func TestWhoMayRun(t *testing.T) {
	for _, c := range []struct {
		permissions string
		status      int
		button      bool
	}{{`"view"`, http.StatusForbidden, false}, {`"view","run"`, http.StatusOK, true}} {
		console := New(&Console{API: knowing(c.permissions)}).HTTP
		form, list := httptest.NewRecorder(), httptest.NewRecorder()
		console.ServeHTTP(form, httptest.NewRequest(http.MethodGet, "/run", nil))
		console.ServeHTTP(list, httptest.NewRequest(http.MethodGet, "/", nil))
		if form.Code != c.status || strings.Contains(list.Body.String(), `href="/run"`) != c.button {
			t.Errorf("%s: the form %d, the list %d", c.permissions, form.Code, list.Code)
		}
		if c.button && !strings.Contains(form.Body.String(), `value="github/acme/web"`) {
			t.Error("the only project is not filled in")
		}
	}
}

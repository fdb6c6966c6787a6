package asyncapi

import (
	"bytes"
	"encoding/json"
	"path"
)

// The parts of an AsyncAPI 3.0 document that this one has, in the order of
// https://www.asyncapi.com/docs/reference/specification/v3.0.0.
type (
	document struct {
		AsyncAPI           string               `json:"asyncapi"`
		Info               info                 `json:"info"`
		DefaultContentType string               `json:"defaultContentType"`
		Channels           map[string]channel   `json:"channels"`
		Operations         map[string]operation `json:"operations"`
		Components         components           `json:"components"`
	}

	info struct {
		Title       string  `json:"title"`
		Version     string  `json:"version"`
		Description string  `json:"description"`
		License     license `json:"license"`
	}

	license struct {
		Name string `json:"name"`
	}

	channel struct {
		Address  string               `json:"address"`
		Summary  string               `json:"summary"`
		Tags     []tag                `json:"tags"`
		Messages map[string]reference `json:"messages"`
	}

	operation struct {
		Action   string      `json:"action"`
		Channel  reference   `json:"channel"`
		Summary  string      `json:"summary"`
		Tags     []tag       `json:"tags"`
		Messages []reference `json:"messages"`
	}

	components struct {
		Messages map[string]message         `json:"messages"`
		Schemas  map[string]json.RawMessage `json:"schemas"`
	}

	message struct {
		Name          string           `json:"name"`
		Title         string           `json:"title"`
		Summary       string           `json:"summary"`
		Tags          []tag            `json:"tags"`
		CorrelationID *correlation     `json:"correlationId"`
		Payload       reference        `json:"payload"`
		Examples      []messageExample `json:"examples"`
	}

	messageExample struct {
		Payload json.RawMessage `json:"payload"`
	}

	correlation struct {
		Description string `json:"description"`
		Location    string `json:"location"`
	}

	tag struct {
		Name string `json:"name"`
	}

	reference struct {
		Ref string `json:"$ref"`
	}
)

// name is the last part of what a reference leads to.
func (r reference) name() string { return path.Base(r.Ref) }

func (d document) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(d)
	return b.Bytes(), err
}

package forge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"

	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// Deliveries are read here and not by go-scm's parsers, which the tests hold
// this reading equal to: those stop at 10 MB, see the first of several refs that
// a push to Bitbucket moved, know no releases and no comments of some forges,
// and drop what trust hangs on: ids of accounts and of a fork's repository.

// headers that name a delivery.
type headers struct{ event, delivery []string }

var (
	word     = regexp.MustCompile(`^[A-Za-z0-9_.: -]{1,64}$`)
	delivery = regexp.MustCompile(`^[A-Za-z0-9_.:{}-]{1,128}$`)
)

// Parse implements Forge.
func (d door) Parse(header http.Header, body []byte) (trigger.Happening, error) {
	h, err := d.parse(header, body)
	if err != nil {
		return trigger.Happening{}, fmt.Errorf("%w: %s: %w", ErrBody, d.name, err)
	}
	h.Forge = d.name
	h.Delivery = d.delivery(header, body)
	h.Payload = body
	for i := range h.Also {
		h.Also[i].Forge, h.Also[i].Delivery, h.Also[i].Payload = h.Forge, h.Delivery, body
	}
	return h, nil
}

func (d door) parse(header http.Header, body []byte) (trigger.Happening, error) {
	event := first(header, d.kind.names.event)
	if !word.MatchString(event) {
		return trigger.Happening{}, fmt.Errorf("no header names the event: %.100q", event)
	}
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return trigger.Happening{}, fmt.Errorf("it is not a JSON object")
	}
	h, err := d.kind.read(event, body)
	if err == nil && h.Repository.Name != "" {
		err = repositoryName(h.Repository.Name)
	}
	return h, err
}

// delivery is the id that the forge gave, else one of the body.
func (d door) delivery(header http.Header, body []byte) string {
	if given := first(header, d.kind.names.delivery); delivery.MatchString(given) {
		return given
	}
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// first of the headers that is set once and only once.
func first(header http.Header, names []string) string {
	for _, name := range names {
		if values := header.Values(name); len(values) == 1 {
			return values[0]
		}
	}
	return ""
}

func decode[T any](body []byte) (T, error) {
	var t T
	err := json.Unmarshal(body, &t)
	return t, err
}

// within holds that the delivery names its repository, which all that can start
// a run do.
func within(h trigger.Happening) error {
	if h.Repository.Name == "" {
		return fmt.Errorf("%s names no repository", h.Event)
	}
	return repositoryName(h.Repository.Name)
}

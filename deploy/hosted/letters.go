package hosted

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/deadletter"
)

// sendAgain posts a dead letter's event straight to the function that did not
// take it, so that the others are spared it. Whatever else stands as its
// destination is not believed (whoever sends events could name any address):
// then it goes to the broker.
func (s *Service) sendAgain(ctx context.Context, l deadletter.Letter) error {
	target := s.config.Host.Sink
	if s.isFunction(l.Destination) {
		target = l.Destination
	}
	if target == "" {
		return errors.New("hosted: its destination is none of the functions, and K_SINK is not set")
	}
	reply, err := s.sender.AskStructured(ctx, target, l.Event)
	if err != nil || reply == nil {
		return err
	}
	return s.publish(ctx, []events.Envelope{*reply})
}

// isFunction tells whether an address is that of a function of the table.
func (s *Service) isFunction(address string) bool {
	if s.config.Host.Functions == "" || address == "" {
		return false
	}
	for _, f := range s.table {
		if f.Handle != nil && same(address, s.address(f.Name)) {
			return true
		}
	}
	return false
}

// same compares addresses but for a slash at their end.
func same(a, b string) bool {
	x, err := url.Parse(a)
	y, err2 := url.Parse(b)
	return err == nil && err2 == nil && x.Scheme == y.Scheme && strings.EqualFold(x.Host, y.Host) && x.User == nil &&
		strings.Trim(x.Path, "/") == strings.Trim(y.Path, "/") && x.RawQuery == y.RawQuery
}

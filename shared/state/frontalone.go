package state

import (
	"context"
	"fmt"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
)

// DeliveryAlone reads a delivery without its body, which may be large;
// fn.NotFound.
func (s *Front) DeliveryAlone(ctx context.Context, id events.DeliveryID) (trigger.Delivery, error) {
	at := deliveryPlace(id)
	docs, _, err := s.Store.Load(ctx, at.partition, at.doc())
	if err != nil {
		return trigger.Delivery{}, fmt.Errorf("state: load %s: %w", at.subject, err)
	}
	if docs[0].Version == 0 {
		return trigger.Delivery{}, noDelivery(id)
	}
	d, err := decoded[trigger.Delivery](docs[0])
	if err != nil {
		return trigger.Delivery{}, err
	}
	return *d, nil
}

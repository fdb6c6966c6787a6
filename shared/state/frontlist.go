package state

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/events"
	"github.com/relevo-ci/relevo/shared/domain/trigger"
	"github.com/relevo-ci/relevo/shared/protocol"
)

// Deliveries lists up to limit deliveries, the newest first, from a cursor on
// ("": from the start), and gives the next cursor; "" where there are no more.
func (s *Front) Deliveries(ctx context.Context, cursor string, limit int) ([]trigger.Delivery, string, error) {
	members, err := s.members(ctx)
	if err != nil {
		return nil, "", err
	}
	slices.SortFunc(members, func(a, b string) int { return strings.Compare(b, a) })
	if cursor != "" {
		i := slices.IndexFunc(members, func(m string) bool { return m < cursor })
		if i < 0 {
			return nil, "", nil
		}
		members = members[i:]
	}
	next := ""
	if limit = max(limit, 1); len(members) > limit {
		members = members[:limit]
		next = members[limit-1]
	}
	list, err := s.look(ctx, members)
	return list, next, err
}

// Some reads deliveries by their ids, the newest first; those that are not there
// are left out.
func (s *Front) Some(ctx context.Context, ids ...events.DeliveryID) ([]trigger.Delivery, error) {
	members := make([]string, len(ids))
	for i, id := range ids {
		members[i] = "/" + string(id)
	}
	return s.look(ctx, members)
}

// members names all deliveries: padded time of receipt, then id.
func (s *Front) members(ctx context.Context) ([]string, error) {
	var all []string
	for i := range frontPartitions {
		p := protocol.Partition(fmt.Sprintf("%s%02d", FrontPrefix, i))
		list, err := s.queue(ctx, p)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

// queue reads all of a partition's queue, the oldest first.
func (s *Front) queue(ctx context.Context, p protocol.Partition) ([]string, error) {
	const usual = 2048
	list, length, err := s.Store.Head(ctx, p, usual)
	if err == nil && length > len(list) {
		list, _, err = s.Store.Head(ctx, p, length)
	}
	if err != nil {
		return nil, fmt.Errorf("state: list deliveries of %s: %w", p, err)
	}
	return list, nil
}

// look reads deliveries by their members; one that is gone is left out.
func (s *Front) look(ctx context.Context, members []string) ([]trigger.Delivery, error) {
	wanted := map[protocol.Partition][]protocol.DocID{}
	for _, m := range members {
		at := deliveryPlace(idOf(m))
		wanted[at.partition] = append(wanted[at.partition], at.doc())
	}
	var list []trigger.Delivery
	for p, ids := range wanted {
		docs, _, err := s.Store.Load(ctx, p, ids...)
		if err != nil {
			return nil, fmt.Errorf("state: load deliveries of %s: %w", p, err)
		}
		for _, doc := range docs {
			d, err := decoded[trigger.Delivery](doc)
			if err != nil {
				return nil, err
			}
			if doc.Version > 0 {
				list = append(list, *d)
			}
		}
	}
	slices.SortFunc(list, func(a, b trigger.Delivery) int { return cmp.Compare(member(&b), member(&a)) })
	return list, nil
}

func member(d *trigger.Delivery) string {
	return fmt.Sprintf("%013d/%s", d.Received.UnixMilli(), d.ID)
}

func idOf(member string) events.DeliveryID {
	_, id, _ := strings.Cut(member, "/")
	return events.DeliveryID(id)
}

package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/relevo-ci/relevo/shared/view"
)

// View keeps read models in Redis, for all processes of an installation. In one
// Redis they are never ahead of the documents: what a restart loses of these it
// loses of those too.
type View struct{ store *Store }

var _ view.Store = (*View)(nil)

// View gives the installation's read models.
func (s *Store) View() *View { return &View{store: s} }

const (
	// viewBatch is the most rows that one script writes or reads: Redis serves
	// nobody else meanwhile.
	viewBatch = 100
	// viewLook is the most members that one script asks other indexes for.
	viewLook = 500
	// viewGone is how long it is remembered that a row was deleted: longer than
	// anybody is between reading a document and putting its row.
	viewGone = 24 * time.Hour
)

// Put writes rows; see view.Store.
func (v *View) Put(ctx context.Context, rows ...view.Row) error {
	batches := map[view.Kind][]any{}
	for _, r := range rows {
		k := viewKeys(r.Kind)
		args := batches[r.Kind]
		if args == nil {
			args = []any{k.index(""), k.values(""), k.gone("")}
		}
		args = append(args, r.ID, strconv.FormatUint(r.Version, 10), viewValue(r))
		if len(args) < 3+3*viewBatch {
			batches[r.Kind] = args
			continue
		}
		if err := v.script(ctx, putScript, k, args); err != nil {
			return fmt.Errorf("redis: put rows: %w", err)
		}
		delete(batches, r.Kind)
	}
	for kind, args := range batches {
		if err := v.script(ctx, putScript, viewKeys(kind), args); err != nil {
			return fmt.Errorf("redis: put rows: %w", err)
		}
	}
	return nil
}

func (v *View) script(ctx context.Context, s *goredis.Script, k viewKeys, args []any) error {
	return v.store.with(func(life *session) error {
		return s.Run(ctx, life.client, []string{k.rows()}, args...).Err()
	})
}

// Delete removes rows; see view.Store.
func (v *View) Delete(ctx context.Context, kind view.Kind, version uint64, ids ...string) error {
	k := viewKeys(kind)
	for len(ids) > 0 {
		n := min(len(ids), viewBatch)
		args := []any{k.index(""), k.values(""), k.gone(""), strconv.FormatUint(version, 10), viewGone.Milliseconds()}
		for _, id := range ids[:n] {
			args = append(args, id)
		}
		if err := v.script(ctx, dropScript, k, args); err != nil {
			return fmt.Errorf("redis: delete rows: %w", err)
		}
		ids = ids[n:]
	}
	return nil
}

// Get reads rows; see view.Store.
func (v *View) Get(ctx context.Context, kind view.Kind, ids ...string) ([]view.Row, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var values []any
	err := v.store.with(func(life *session) (err error) {
		values, err = life.client.HMGet(ctx, viewKeys(kind).rows(), ids...).Result()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("redis: get rows: %w", err)
	}
	rows := make([]view.Row, 0, len(ids))
	for i, id := range ids {
		value, ok := values[i].(string)
		if !ok {
			continue
		}
		r, err := viewRow(kind, id, value)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// Page reads a page of an index; see view.Store.
func (v *View) Page(ctx context.Context, kind view.Kind, index view.Index, after view.Cursor, limit int) ([]view.Row, error) {
	var rows []view.Row
	for limit > 0 {
		n := min(limit, viewBatch)
		some, next, err := v.look(ctx, kind, index, nil, after, n, n)
		if err != nil {
			return nil, fmt.Errorf("redis: page rows: %w", err)
		}
		rows = append(rows, some...)
		if after = next; after == "" {
			break
		}
		limit -= n
	}
	return rows, nil
}

// Filter reads what several indexes lead to; see view.Store.
func (v *View) Filter(ctx context.Context, kind view.Kind, index view.Index, groups [][]view.Index, after view.Cursor, limit, look int) ([]view.Row, view.Cursor, error) {
	var rows []view.Row
	for len(rows) < limit && look > 0 {
		n := min(look, viewLook)
		some, next, err := v.look(ctx, kind, index, groups, after, min(limit-len(rows), viewBatch), n)
		if err != nil {
			return nil, "", fmt.Errorf("redis: filter rows: %w", err)
		}
		rows = append(rows, some...)
		if after = next; after == "" {
			return rows, "", nil
		}
		look -= n
	}
	return rows, after, nil
}

// look is one step of Filter; without groups every row is wanted.
func (v *View) look(ctx context.Context, kind view.Kind, index view.Index, groups [][]view.Index, after view.Cursor, limit, look int) ([]view.Row, view.Cursor, error) {
	k, from := viewKeys(kind), "+"
	if after != "" {
		from = "(" + string(after)
	}
	keys, args := []string{k.index(index.Name()), k.rows()}, []any{from, limit, look}
	for _, group := range groups {
		for _, i := range group {
			keys = append(keys, k.index(i.Name()))
		}
		args = append(args, len(group))
	}
	var found []string
	err := v.store.with(func(life *session) (err error) {
		found, err = filterScript.Run(ctx, life.client, keys, args...).StringSlice()
		return err
	})
	if err != nil {
		return nil, "", err
	}
	rows := make([]view.Row, 0, len(found)/2)
	for i := 1; i+1 < len(found); i += 2 {
		r, err := viewRow(kind, found[i], found[i+1])
		if err != nil {
			return nil, "", err
		}
		rows = append(rows, r)
	}
	return rows, view.Cursor(found[0]), nil
}

// Count counts what indexes lead to; see view.Store.
func (v *View) Count(ctx context.Context, kind view.Kind, indexes ...view.Index) ([]int, error) {
	if len(indexes) == 0 {
		return nil, nil
	}
	counts := make([]int, len(indexes))
	err := v.store.with(func(life *session) error {
		cards := make([]*goredis.IntCmd, len(indexes))
		_, err := life.client.Pipelined(ctx, func(p goredis.Pipeliner) error {
			for n, i := range indexes {
				cards[n] = p.ZCard(ctx, viewKeys(kind).index(i.Name()))
			}
			return nil
		})
		for n, c := range cards {
			counts[n] = int(c.Val())
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("redis: count rows: %w", err)
	}
	return counts, nil
}

// Values reads the values of a field; see view.Store.
func (v *View) Values(ctx context.Context, kind view.Kind, field, prefix, after string, limit int) ([]string, error) {
	if limit < 1 {
		return nil, nil
	}
	prefix, after = view.Escape(prefix), view.Escape(after)
	by := goredis.ZRangeArgs{Key: viewKeys(kind).values(field), Start: "[" + prefix, Stop: "+", ByLex: true, Count: int64(limit)}
	if prefix != "" {
		by.Stop = "(" + prefix + "\xff"
	}
	if after >= prefix && after != "" {
		by.Start = "(" + after
	}
	var names []string
	err := v.store.with(func(life *session) (err error) {
		names, err = life.client.ZRangeArgs(ctx, by).Result()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("redis: read values: %w", err)
	}
	for i := range names {
		names[i] = view.Unescape(names[i])
	}
	return names, nil
}

// viewValue is a row as it is stored; see scripts/put.lua. An index's name has no
// line end in it.
func viewValue(r view.Row) string {
	var b strings.Builder
	score, _, _ := strings.Cut(string(r.Place()), "/")
	b.WriteString(strconv.FormatUint(r.Version, 10))
	b.WriteString("\n" + score + "\n")
	for _, i := range r.Indexes {
		b.WriteString(i.Name())
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	b.Write(r.Body)
	return b.String()
}

func viewRow(kind view.Kind, id, value string) (view.Row, error) {
	head, body, ok := strings.Cut(value, "\n\n")
	lines := strings.Split(head, "\n")
	if !ok || len(lines) < 2 {
		return view.Row{}, fmt.Errorf("redis: row %q of %s is not of the form that rows have", id, kind)
	}
	version, err := strconv.ParseUint(lines[0], 10, 64)
	if err != nil {
		return view.Row{}, fmt.Errorf("redis: version of row %q of %s: %w", id, kind, err)
	}
	score, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return view.Row{}, fmt.Errorf("redis: score of row %q of %s: %w", id, kind, err)
	}
	r := view.Row{Kind: kind, ID: id, Version: version, Score: score, Body: []byte(body)}
	for _, name := range lines[2:] {
		r.Indexes = append(r.Indexes, view.ParseName(name))
	}
	return r, nil
}

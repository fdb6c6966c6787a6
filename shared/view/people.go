package view

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// Person is somebody who started runs.
type Person struct {
	Name string
	Runs int // in the projects that were asked for
	Last Row // the newest of them
}

// mostProjects bounds the projects that people are looked for in.
const mostProjects = 1000

// People reads up to limit people, by name, after one of them (empty: from the
// first), with their runs in the projects of scopes, as in Query. The name of
// the last one is the cursor of what follows; empty where nothing does.
func People(ctx context.Context, s Store, scopes []string, after string, limit int) ([]Person, string, error) {
	all, err := names(ctx, s, scopes, after, limit+1)
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(all) > limit {
		all = all[:limit]
		next = all[limit-1].name
	}
	people := make([]Person, 0, len(all))
	for _, n := range all {
		p := Person{Name: n.name}
		counts, err := s.Count(ctx, Runs, n.indexes...)
		if err != nil {
			return nil, "", fmt.Errorf("view: count the runs of %s: %w", n.name, err)
		}
		for i, index := range n.indexes {
			p.Runs += counts[i]
			last, err := s.Page(ctx, Runs, index, "", 1)
			if err != nil {
				return nil, "", fmt.Errorf("view: last run of %s: %w", n.name, err)
			}
			if len(last) > 0 && (p.Last.ID == "" || last[0].Place() > p.Last.Place()) {
				p.Last = last[0]
			}
		}
		people = append(people, p)
	}
	return people, next, nil
}

// named is a person and the indexes that lead to their runs.
type named struct {
	name    string
	indexes []Index
}

func names(ctx context.Context, s Store, scopes []string, after string, limit int) ([]named, error) {
	if scopes == nil {
		values, err := s.Values(ctx, Runs, "actor", "", after, limit)
		if err != nil {
			return nil, fmt.Errorf("view: list people: %w", err)
		}
		list := make([]named, len(values))
		for i, v := range values {
			list[i] = named{v, []Index{{"actor", v}}}
		}
		return list, nil
	}
	q := Query{Kind: Runs, Scopes: scopes}
	found := map[string][]Index{}
	for _, scope := range scopes {
		folder, all := strings.CutSuffix(scope, "*")
		projects := []string{scope}
		if all {
			var err error
			if projects, err = s.Values(ctx, Runs, "project", folder, "", mostProjects); err != nil {
				return nil, fmt.Errorf("view: projects in %s: %w", scope, err)
			}
		}
		for _, p := range projects {
			if !q.covers(p) {
				continue
			}
			from := ""
			if after != "" {
				from = member(p, after)
			}
			values, err := s.Values(ctx, Runs, "member", member(p, ""), from, limit)
			if err != nil {
				return nil, fmt.Errorf("view: list people of %s: %w", p, err)
			}
			for _, v := range values {
				name := strings.TrimPrefix(v, member(p, ""))
				if i := (Index{"member", v}); !slices.Contains(found[name], i) {
					found[name] = append(found[name], i)
				}
			}
		}
	}
	list := make([]named, 0, len(found))
	for name, indexes := range found {
		list = append(list, named{name, indexes})
	}
	slices.SortFunc(list, func(a, b named) int { return cmp.Compare(Escape(a.name), Escape(b.name)) })
	return list[:min(len(list), limit)], nil
}

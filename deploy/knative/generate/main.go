// Command generate writes deploy/knative's manifests of the functions: a
// Knative Service, a ServiceAccount and, where a broker calls it, a Trigger for
// each row of the functions' table, and who may touch the jobs' namespace. It
// does so twice: a Service for each function, and one for each context. Knative's
// own types write them and check them.
package main

//go:generate go run .

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/relevo-ci/relevo/functions"
	"github.com/relevo-ci/relevo/functions/api"
	awaitrequested "github.com/relevo-ci/relevo/functions/await-requested"
	"github.com/relevo-ci/relevo/functions/console"
	deliveryreceived "github.com/relevo-ci/relevo/functions/delivery-received"
	runcompletedlogs "github.com/relevo-ci/relevo/functions/run-completed-logs"
	runcompletedtelemetry "github.com/relevo-ci/relevo/functions/run-completed-telemetry"
	runrequestedcdevents "github.com/relevo-ci/relevo/functions/run-requested-cdevents"
	statusrequested "github.com/relevo-ci/relevo/functions/status-requested"
	"github.com/relevo-ci/relevo/functions/webhook"
	"github.com/relevo-ci/relevo/functions/worker"
	"github.com/relevo-ci/relevo/shared/feed"
	"github.com/relevo-ci/relevo/shared/fn"
	"github.com/relevo-ci/relevo/shared/workers"
)

// root is deploy/knative, seen from here.
const root = ".."

func main() {
	files, err := generate()
	if err == nil {
		err = write(files)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// table is all functions, made of nothing: they are described, not run. front
// are the names of those that link more than the lean host does.
func table() (all []fn.Function, front []string) {
	doors := []fn.Function{
		api.New(&api.API{}), console.New(&console.Console{}), awaitrequested.New(nil),
		webhook.New(&webhook.Webhook{}), deliveryreceived.New(&deliveryreceived.Work{}), statusrequested.New(nil, nil, nil, nil),
	}
	for _, f := range doors {
		front = append(front, f.Name)
	}
	return functions.All(functions.Deps{
		Workers: &workers.Workers{}, Reports: &worker.Reports{}, Feed: feed.NewMemory(1, 1), Front: doors,
	}), front
}

// generate makes every file, by its path from deploy/knative.
func generate() (map[string][]byte, error) {
	all, front := table()
	files := map[string][]byte{}
	for folder, units := range map[string][]unit{
		"base/functions":           perFunction(all, front),
		"overlays/fused/functions": fused(all, front),
	} {
		resources, err := manifests(files, folder, units)
		if err != nil {
			return nil, err
		}
		if files[path.Join(folder, "rights.yaml")], err = rights(units, jobs); err != nil {
			return nil, err
		}
		files[path.Join(folder, "kustomization.yaml")] = kustomization("v1beta1", "Kustomization", append(resources, "rights.yaml"))
	}
	// Either way has the accounts of its own: one that is not there does no harm.
	both := perFunction(all, front)
	for _, u := range fused(all, front) {
		if !slices.ContainsFunc(both, func(o unit) bool { return o.name == u.name }) {
			both = append(both, u)
		}
	}
	text, err := rights(both, untrusted)
	if err != nil {
		return nil, err
	}
	files["components/untrusted/rights/rights.yaml"] = text
	return files, components(files)
}

// components adds what nobody needs who does not ask for it.
func components(files map[string][]byte) error {
	for folder, units := range map[string][]unit{
		"components/cdevents":  perFunction([]fn.Function{runrequestedcdevents.New(nil, nil, "")}, nil),
		"components/telemetry": onFront(runcompletedtelemetry.New(nil, nil, "", nil)),
		"components/archive":   onFront(runcompletedlogs.New(nil)),
	} {
		resources, err := manifests(files, folder, units)
		if err != nil {
			return err
		}
		files[path.Join(folder, "kustomization.yaml")] = kustomization("v1alpha1", "Component", resources)
	}
	return nil
}

// onFront is a function that links more than the lean host does.
func onFront(f fn.Function) []unit {
	return perFunction([]fn.Function{f}, []string{f.Name})
}

// manifests adds the files of units to a folder, and gives their names.
func manifests(files map[string][]byte, folder string, units []unit) ([]string, error) {
	resources := make([]string, 0, len(units))
	for _, u := range units {
		text, err := u.manifest()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", u.name, err)
		}
		files[path.Join(folder, u.name+".yaml")] = text
		resources = append(resources, u.name+".yaml")
	}
	return resources, nil
}

func kustomization(version, kind string, resources []string) []byte {
	slices.Sort(resources)
	return []byte(generated + "apiVersion: kustomize.config.k8s.io/" + version + "\nkind: " + kind + "\nresources:\n  - " + strings.Join(resources, "\n  - ") + "\n")
}

// stale are the files of the generated folders that nothing generates any more.
func stale(files map[string][]byte) ([]string, error) {
	var old []string
	for file := range files {
		entries, err := os.ReadDir(filepath.Join(root, filepath.FromSlash(path.Dir(file))))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			name := path.Join(path.Dir(file), e.Name())
			if _, ok := files[name]; !ok && !slices.Contains(old, name) {
				old = append(old, name)
			}
		}
	}
	return old, nil
}

func write(files map[string][]byte) error {
	old, err := stale(files)
	for _, name := range old {
		err = errors.Join(err, os.Remove(filepath.Join(root, filepath.FromSlash(name))))
	}
	for name, text := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		err = errors.Join(err, os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, text, 0o644))
	}
	return err
}
